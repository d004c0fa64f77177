from django.urls import path

from shop import views

urlpatterns = [
    path("", views.index),
    path("slow/", views.slow),
    path("healthz", views.healthz),
]
