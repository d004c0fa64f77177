import os
import time

from django.http import HttpResponse
from django.utils.html import format_html, format_html_join

from shop.models import Product

# Change this text, then: ostler restart shop
VERSION = "release one"

PAGE = """<!doctype html>
<title>The shop</title>
<style>body {{ font: 18px/1.5 sans-serif; max-width: 32em; margin: 3em auto; }}</style>
<h1>The shop, {}</h1>
<ul>{}</ul>
<p>Answered by process {}{}. Load it again: the processes take turns.</p>
<p><a href="/slow/?seconds=5">A slow page</a> is finished by its worker even if you restart the shop meanwhile.</p>
"""


def index(request):
    rows = ((product.name, f"{product.cents / 100:.2f}") for product in Product.objects.only("name", "cents").order_by("name"))
    goods = format_html_join("", "<li>{}: {}</li>", rows)
    generation = os.environ.get("OSTLER_GENERATION")
    return HttpResponse(
        format_html(PAGE, VERSION, goods, os.getpid(), f" of generation {generation}" if generation else "")
    )


def slow(request):
    try:
        seconds = max(0.0, min(float(request.GET.get("seconds", 5)), 30.0))
    except ValueError:
        seconds = 5.0
    time.sleep(seconds)
    return HttpResponse(f"{VERSION}: {seconds:g} seconds later, from process {os.getpid()}\n", "text/plain")


def healthz(request):
    Product.objects.exists()
    return HttpResponse("ok\n", "text/plain")
