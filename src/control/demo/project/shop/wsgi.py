import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()

# Views are imported now, so that a release that cannot be imported fails here and not at its first visitor.
import shop.urls  # noqa: E402, F401
