import os
import time

from django.http import HttpResponse
from django.shortcuts import render

from goods.models import Product

# Change this text, then: ostler restart shop
VERSION = "release one"


def index(request):
    goods = Product.objects.only("name", "cents").order_by("name")
    generation = os.environ.get("OSTLER_GENERATION")
    context = {"version": VERSION, "goods": goods, "pid": os.getpid(), "generation": generation}
    return render(request, "goods/index.html", context)


def slow(request):
    try:
        seconds = max(0.0, min(float(request.GET.get("seconds", 5)), 30.0))
    except ValueError:
        seconds = 5.0
    time.sleep(seconds)
    return HttpResponse(f"{VERSION}: {seconds:g} seconds later, from process {os.getpid()}\n", "text/plain")
