from django.contrib import admin
from django.urls import path

from goods import views

urlpatterns = [
    path("", views.index),
    path("slow/", views.slow),
    path("admin/", admin.site.urls),
]
