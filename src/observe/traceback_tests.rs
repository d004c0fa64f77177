use std::path::Path;

use super::*;

#[track_caller]
fn shows(traceback: &str, expected: &str) {
    assert_eq!(brief(traceback), expected.trim_matches('\n'), "of:\n{traceback}");
}

#[test]
fn the_cause_comes_first_and_frames_of_libraries_are_counted() {
    // Python 3.11, gunicorn 23.
    shows(
        r#"Traceback (most recent call last):
  File "<ostler main>", line 139, in serve
  File "/srv/shop/venv/lib/python3.11/site-packages/gunicorn/workers/base.py", line 135, in init_process
    self.load_wsgi()
  File "/srv/shop/venv/lib/python3.11/site-packages/gunicorn/util.py", line 370, in import_app
    mod = importlib.import_module(module)
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 1206, in _gcd_import
  File "<frozen importlib._bootstrap_external>", line 940, in exec_module
  File "/srv/shop/current/shop/wsgi.py", line 3, in <module>
    import shop.urls
  File "/srv/shop/current/shop/urls.py", line 1, in <module>
    import nope
ModuleNotFoundError: No module named 'nope'
"#,
        r#"
ModuleNotFoundError: No module named 'nope'
Traceback (most recent call last):
  ... 6 frames of ostler, gunicorn and importlib
  File "/srv/shop/current/shop/wsgi.py", line 3, in <module>
    import shop.urls
  File "/srv/shop/current/shop/urls.py", line 1, in <module>
    import nope
"#,
    );
}

#[test]
fn a_syntax_error_is_told_with_its_place_and_its_mark() {
    // Python 3.8.
    shows(
        r#"Traceback (most recent call last):
  File "/opt/py38/lib/python3.8/importlib/__init__.py", line 127, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
  File "<frozen importlib._bootstrap>", line 219, in _call_with_frames_removed
  File "/srv/shop/wsgi.py", line 2, in <module>
    import shop.urls
  File "/srv/shop/shop/urls.py", line 7
    def f(:
          ^
SyntaxError: invalid syntax
"#,
        r#"
SyntaxError: invalid syntax
  File "/srv/shop/shop/urls.py", line 7
    def f(:
          ^
Traceback (most recent call last):
  ... 2 frames of importlib
  File "/srv/shop/wsgi.py", line 2, in <module>
    import shop.urls
"#,
    );
}

#[test]
fn what_it_came_of_follows() {
    // Python 3.13: marks below parts of a line.
    shows(
        r#"Traceback (most recent call last):
  File "/srv/shop/settings.py", line 6, in <module>
    SECRET = os.environ["SECRET"]
             ~~~~~~~~~~^^^^^^^^^^
  File "<frozen os>", line 716, in __getitem__
KeyError: 'SECRET'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/wsgi.py", line 7, in <module>
    load()
    ~~~~^^
  File "/srv/venv/lib/python3.13/site-packages/environ/environ.py", line 387, in get_value
    raise ImproperlyConfigured(error_msg) from exc
django.core.exceptions.ImproperlyConfigured: Set the SECRET environment variable
It is in the vault
"#,
        r#"
django.core.exceptions.ImproperlyConfigured: Set the SECRET environment variable
It is in the vault
Traceback (most recent call last):
  File "/srv/shop/wsgi.py", line 7, in <module>
    load()
    ~~~~^^
  ... 1 frame of environ

It was caused by:
KeyError: 'SECRET'
Traceback (most recent call last):
  File "/srv/shop/settings.py", line 6, in <module>
    SECRET = os.environ["SECRET"]
             ~~~~~~~~~~^^^^^^^^^^
  ... 1 frame of os
"#,
    );
}

#[test]
fn what_was_handled_meanwhile_is_told_as_such() {
    shows(
        "Traceback (most recent call last):\n  File \"/a/b.py\", line 1, in <module>\n    {}[1]\nKeyError: 1\n\n\
         During handling of the above exception, another exception occurred:\n\n\
         Traceback (most recent call last):\n  File \"/a/b.py\", line 3, in <module>\n    1/0\n\
         ZeroDivisionError: division by zero\n",
        "ZeroDivisionError: division by zero\nTraceback (most recent call last):\n  \
         File \"/a/b.py\", line 3, in <module>\n    1/0\n\nThat came of handling:\nKeyError: 1\n\
         Traceback (most recent call last):\n  File \"/a/b.py\", line 1, in <module>\n    {}[1]",
    );
}

#[test]
fn a_group_of_exceptions_keeps_its_form() {
    shows(
        r#"  + Exception Group Traceback (most recent call last):
  |   File "/srv/venv/lib/python3.11/site-packages/anyio/_backends/_asyncio.py", line 597, in __aexit__
  |     raise exceptions
  |   File "/srv/shop/wsgi.py", line 16, in start
  |     raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])
  | ExceptionGroup: several (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: one
    +---------------- 2 ----------------
    | KeyError: 'two'
    +------------------------------------
"#,
        r#"
ExceptionGroup: several (2 sub-exceptions)
  + Exception Group Traceback (most recent call last):
  |   ... 1 frame of anyio
  |   File "/srv/shop/wsgi.py", line 16, in start
  |     raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])
  | ExceptionGroup: several (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: one
    +---------------- 2 ----------------
    | KeyError: 'two'
    +------------------------------------
"#,
    );
}

#[test]
fn where_no_frame_is_the_apps_own_the_last_one_stays() {
    shows(
        "Traceback (most recent call last):\n  File \"<frozen importlib._bootstrap>\", line 1, in a\n  \
         File \"/v/lib/python3.11/site-packages/psycopg2/__init__.py\", line 122, in connect\n    conn = _connect(dsn)\n\
         psycopg2.OperationalError: connection refused\n",
        "psycopg2.OperationalError: connection refused\nTraceback (most recent call last):\n  ... 1 frame of importlib\n  \
         File \"/v/lib/python3.11/site-packages/psycopg2/__init__.py\", line 122, in connect\n    conn = _connect(dsn)",
    );
}

#[test]
fn a_recursion_keeps_the_count_of_its_repetitions() {
    shows(
        "Traceback (most recent call last):\n  File \"/a.py\", line 12, in rec\n    def rec(): rec()\n               ^^^^^\n  \
         [Previous line repeated 995 more times]\nRecursionError: maximum recursion depth exceeded\n",
        "RecursionError: maximum recursion depth exceeded\nTraceback (most recent call last):\n  \
         File \"/a.py\", line 12, in rec\n    def rec(): rec()\n               ^^^^^\n  [Previous line repeated 995 more times]",
    );
}

#[test]
fn what_holds_no_frames_is_shown_as_it_is() {
    for text in
        ["", "no database today", "usage: gunicorn [OPTIONS]\n\ngunicorn: error: x", "File \"x\"", "a\n\n  b"]
    {
        shows(text, text);
    }
    let stack = "  File \"/srv/shop/views.py\", line 3, in slow\n    time.sleep(9)";
    shows(stack, stack);
}

#[test]
fn nothing_is_cut_within_a_line() {
    let frames = |n: usize| {
        (0..n).map(|n| format!("  File \"/srv/f{n}.py\", line 1, in f\n    g()\n")).collect::<String>()
    };
    let shown = brief(&format!("Traceback (most recent call last):\n{}ValueError: x", frames(90)));
    assert_eq!(shown.lines().count(), MOST);
    assert!(shown.starts_with("ValueError: x\n") && shown.ends_with("... 123 lines more"), "{shown}");
}

#[test]
fn a_stack_stands_in_the_innermost_frame_of_the_app() {
    let stacks = r#"Thread 0x00007f1 [pool] (most recent call first):
  File "/srv/shop/other.py", line 9 in wait

Current thread 0x00007f2 (most recent call first):
  File "/srv/shop/venv/lib/python3.11/site-packages/redis/client.py", line 80 in recv
  File "/srv/shop/wsgi.py", line 6 in load
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
  File "<ostler main>", line 12 in serve
"#;
    let at = |directory: &str| stands_in(stacks, Path::new(directory));
    assert_eq!(at("/srv/shop").as_deref(), Some("wsgi.py line 6 (load)"));
    assert_eq!(at("/srv/blog"), None);
    let task = "Task main (most recent call first):\n  File \"/usr/lib/python3.11/asyncio/tasks.py\", line 639 in sleep\n  \
                File \"/srv/shop/asgi.py\", line 4 in connect\n";
    assert_eq!(stands_in(task, Path::new("/srv/shop")).as_deref(), Some("asgi.py line 4 (connect)"));
    assert_eq!(stands_in("", Path::new("/srv/shop")), None);
}

#[test]
fn a_stack_is_folded_under_its_own_heading() {
    shows(
        "Thread 0x1 (most recent call first):\n  File \"/srv/shop/jobs.py\", line 9 in wait\n\n\
         Current thread 0x2 (most recent call first):\n  File \"/srv/shop/wsgi.py\", line 6 in load\n  \
         File \"<frozen importlib._bootstrap>\", line 241 in _call_with_frames_removed\n  \
         File \"<ostler main>\", line 12 in serve\n  File \"<string>\", line 20 in <module>\n",
        "Thread 0x1 (most recent call first):\n  File \"/srv/shop/jobs.py\", line 9 in wait\n\n\
         Current thread 0x2 (most recent call first):\n  File \"/srv/shop/wsgi.py\", line 6 in load\n  \
         ... 3 frames of importlib and ostler",
    );
}

#[test]
fn the_rest_of_a_frame_that_was_cut_off_is_not_taken_for_the_cause() {
    shows(
        r#"    self.fetch_command(subcommand).run_from_argv(self.argv)
    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^^
  File "/srv/shop/venv/lib/python3.13/site-packages/django/urls/resolvers.py", line 722, in urlconf_module
    return import_module(self.urlconf_name)
  File "/srv/shop/current/shop/urls.py", line 2, in <module>
    import nope
ModuleNotFoundError: No module named 'nope'
"#,
        r#"
ModuleNotFoundError: No module named 'nope'
Traceback (most recent call last):
  ... 1 frame of django
  File "/srv/shop/current/shop/urls.py", line 2, in <module>
    import nope
"#,
    );
}
