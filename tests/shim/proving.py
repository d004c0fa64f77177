"""What a worker proves before its first client: the answer to a probe, which nobody has to ask for."""

import os

from django_project import BORNE, PRODUCTION, SENDS, SENDS_ASGI, UNASKED, VIEWS, WSGI, kinds, project, site
from supervisor import Shop


def a_new_project_is_proven_by_its_urls_and_its_first_page(at):
    project(at)
    for kind, module in kinds(at):
        for preload in (False, True):
            with site(at, kind, module, preload=preload) as app:
                worker = app.ready(probe=UNASKED)
                assert worker.proof["urls"] > 5, worker.proof
                answer = worker.proof["probe"]
                assert (answer["status"], answer["good"], answer["path"]) == (200, True, "/"), answer
                assert worker.finished == 0 and worker.in_flight() == []


def a_view_that_raises_is_told_with_its_own_traceback(at):
    project(at, urls=VIEWS % "[path('', broken)]", settings=PRODUCTION)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            message = app.spawn(hold=True, probe=UNASKED).hear("failed")
            assert message["stage"] == "probe", message
            assert message["message"] == "the probe of / answered 500 Internal Server Error", (kind, message)
            assert "a view that is broken" in message["traceback"] and "in broken" in message["traceback"], (
                kind,
                message,
            )


def what_is_borne_with_is_told_and_serves(at):
    project(at, urls=VIEWS % "[path('', broken)]", settings=PRODUCTION)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            worker = app.ready(probe=BORNE)
            answer = worker.proof["probe"]
            assert (answer["status"], answer["good"]) == (500, False), answer
            assert answer["message"] == "the probe of / answered 500 Internal Server Error", answer
            assert "a view that is broken" in app.printed()


def below_500_is_good_if_nobody_asked_for_more(at):
    project(at, urls=VIEWS % "[path('page', page)]", settings=PRODUCTION)
    with site(at) as app:
        worker = app.ready(probe=UNASKED)
        assert (worker.proof["probe"]["status"], worker.proof["probe"]["good"]) == (404, True), worker.proof
        message = app.spawn(probe=dict(UNASKED, asked=True)).hear("failed")["message"]
        assert message == "the probe of / answered 404 Not Found", message


def the_host_is_one_that_django_accepts(at):
    for allowed, expected in (
        ("['.shop.example.com', 'x']", "shop.example.com"),
        ("['*']", "localhost"),
        ("['*', 'y']", "y"),
    ):
        project(
            at,
            urls=VIEWS.replace(
                'HttpResponse("ok")', 'HttpResponse(status=418 if request.get_host() == "%s" else 500)' % expected
            )
            % "[path('', page)]",
            settings="DEBUG = False\nALLOWED_HOSTS = %s\n" % allowed,
        )
        with site(at) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 418, (allowed, expected)


def a_host_that_django_refuses_is_named_with_the_key_to_set(at):
    project(at, urls=VIEWS % "[path('', page)]", settings=PRODUCTION)
    for asked in (True, False):
        with site(at) as app:
            message = app.spawn(probe=dict(UNASKED, host="other.example.com", asked=asked)).hear("failed")["message"]
            assert message == (
                "the probe of / answered 400 Bad Request: Django's ALLOWED_HOSTS does not have the Host "
                "other.example.com: set `host` in [probe] to one that it has, such as shop.example.com"
            ), message
    project(at, urls=VIEWS % "[path('', page)]", settings="DEBUG = False\n")
    with site(at) as app:
        message = app.spawn(probe=UNASKED).hear("failed")["message"]
        assert "ALLOWED_HOSTS is empty" in message and "site1.settings" in message, message


def a_redirect_to_https_is_followed_once_on_the_same_host(at):
    secure = PRODUCTION + "SECURE_SSL_REDIRECT = True\n"
    project(at, urls=VIEWS % "[path('', broken)]", settings=secure)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            message = app.spawn(probe=UNASKED).hear("failed")
            assert message["message"] == "the probe of / answered 500 Internal Server Error", (kind, message)
    project(at, urls=VIEWS % "[path('', page)]", settings=secure)
    for kind, module in kinds(at):
        with site(at, kind, module) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, kind
    project(
        at,
        urls=VIEWS % "[path('de/', broken)]",
        settings=PRODUCTION,
        site1__wsgi=SENDS % "https://shop.example.com/de/",
    )
    with site(at) as app:
        message = app.spawn(probe=dict(UNASKED, asked=True)).hear("failed")["message"]
        assert message == "the probe of /, sent on to /de/, answered 500 Internal Server Error", message
        assert app.ready(probe=BORNE).proof["probe"]["path"] == "/", "what ostlerd has asked for"


def a_first_page_that_leads_elsewhere_on_the_site_is_followed_if_nobody_asked_for_it(at):
    # Every class follows, and every form is understood: what is made of an answer is one code for all classes.
    forms = ["/login/?next=/", "http://shop.example.com/login/?next=/", "login/?next=/"]
    for kind, module in kinds(at):
        for to in forms if kind in ("sync", "uvicorn_worker.UvicornWorker") else forms[:1]:
            leads = {"site1__" + module: (SENDS if module == "wsgi" else SENDS_ASGI) % to}
            project(at, urls=VIEWS % "[path('login/', broken)]", settings=PRODUCTION, **leads)
            with site(at, kind, module) as app:
                message = app.spawn(probe=UNASKED).hear("failed")
                assert message["message"] == (
                    "the probe of /, sent on to /login/?next=/, answered 500 Internal Server Error"
                ), (kind, to, message)
                assert "a view that is broken" in message["traceback"], message
                assert app.ready(probe=dict(UNASKED, asked=True)).proof["probe"]["status"] == 302, (kind, to)
            project(at, urls=VIEWS % "[path('login/', page)]", settings=PRODUCTION, **leads)
            with site(at, kind, module) as app:
                assert app.ready(probe=UNASKED).proof["probe"]["status"] == 200, (kind, to)


def a_redirect_that_leads_away_or_round_in_circles_is_an_answer(at):
    for to in (
        "https://elsewhere.example.com/",
        "//elsewhere.example.com/",
        "http://shop.example.com:81/",
        "https://[",
        "/",
        "/a b",
        "/\\u00e9",
        "",
        "mailto:x",
    ):
        project(at, urls=VIEWS % "[]", settings=PRODUCTION, site1__wsgi=SENDS % to)
        with site(at) as app:
            assert app.ready(probe=UNASKED).proof["probe"]["status"] == 302, to


def an_app_of_the_other_kind_is_named_with_the_class_to_take(at):
    project(at)
    for kind in WSGI:
        with site(at, kind, "asgi") as app:
            message = app.spawn().hear("failed")["message"]
            assert message.startswith(
                "the worker class %s runs WSGI apps, and site1.asgi:application is an ASGI app" % kind
            ), message
    for kind in ("uvicorn_worker.UvicornWorker", "asgi") if at.major >= 27 else ("uvicorn_worker.UvicornWorker",):
        with site(at, kind, "wsgi") as app:
            message = app.spawn().hear("failed")["message"]
            assert "runs ASGI apps, and site1.wsgi:application is a WSGI app" in message, message


def a_probe_leaves_the_process_as_it_found_it(at):
    alarmed = (
        "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 1000, 7)\n"
        "from site1.wsgi import application as inner\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    from django.core.signals import got_request_exception as it\n"
        "    return [('%s %d' % (signal.getitimer(signal.ITIMER_REAL), len(it.receivers))).encode()]\n"
    )
    project(at, site1__alarmed=alarmed)
    with Shop(
        at.venv,
        at.directory,
        entry="site1.alarmed:application",
        env={"PYTHONPATH": os.path.join(at.directory, "project")},
    ) as app:
        app.ready(probe=UNASKED)
        client = app.connect()
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")[2].decode()
        client.close()
        left, again, receivers = text.strip("(").replace(",", "").replace(")", "").split()
        assert 900 < float(left) < 1000 and float(again) == 7 and receivers == "0", text


def a_late_answer_is_borne_with_where_the_orders_say_so(at):
    sleeps = VIEWS.replace('return HttpResponse("ok")', "import time; time.sleep(3600)") % "[path('', page)]"
    project(at, urls=sleeps, settings=PRODUCTION)
    for kind, module in kinds(at):
        if module == "asgi":
            continue  # a view that blocks its thread cannot be given up there
        with site(at, kind, module) as app:
            message = app.spawn(probe=dict(UNASKED, timeout_seconds=0.5)).hear("failed")
            assert (
                message["message"] == "the probe of / did not answer in 0.5 s" and "in page" in message["traceback"]
            ), message
            answer = app.ready(probe=dict(BORNE, timeout_seconds=0.5)).proof["probe"]
            assert answer["late"] and not answer["good"], answer


LAWS = [a_new_project_is_proven_by_its_urls_and_its_first_page, a_view_that_raises_is_told_with_its_own_traceback]
ONCE = [
    what_is_borne_with_is_told_and_serves,
    below_500_is_good_if_nobody_asked_for_more,
    the_host_is_one_that_django_accepts,
    a_host_that_django_refuses_is_named_with_the_key_to_set,
    a_redirect_to_https_is_followed_once_on_the_same_host,
    a_first_page_that_leads_elsewhere_on_the_site_is_followed_if_nobody_asked_for_it,
    a_redirect_that_leads_away_or_round_in_circles_is_an_answer,
    an_app_of_the_other_kind_is_named_with_the_class_to_take,
    a_probe_leaves_the_process_as_it_found_it,
    a_late_answer_is_borne_with_where_the_orders_say_so,
]
