"""tap.py: what the Python programs of this folder tell, in TAP: check, raises, done. arguments: URL, a folder of its own."""
import contextlib
import sys
import traceback
import warnings

warnings.simplefilter("ignore")
url = sys.argv[1]
folder = sys.argv[2] if len(sys.argv) > 2 else "."
seen = 0


def check(ok, what, told=None):
    """One line of TAP; told says what was there instead."""
    global seen
    seen += 1
    print("%s %d - %s" % ("ok" if ok else "not ok", seen, what))
    if not ok and told is not None:
        print("# %.1500r" % (told,))
    sys.stdout.flush()


def equal(got, wanted, what):
    check(got == wanted, what, "got %r instead of %r" % (got, wanted))


@contextlib.contextmanager
def raises(kind, what, status=None, word=""):
    """The block raises that class of the client, with that status and word."""
    try:
        yield
    except kind as e:
        code = getattr(e, "status_code", None)
        check((status is None or code == status) and word in str(e), what, "%s: %s" % (code, e))
    except Exception as e:
        check(False, what, "%s: %s" % (type(e).__name__, e))
    else:
        check(False, what, "nothing was raised")


@contextlib.contextmanager
def part(what):
    """A part of a program: what it raises fails the part, and the next one goes on."""
    try:
        yield
    except Exception as e:
        where = [f for f in traceback.extract_tb(e.__traceback__) if f.filename.endswith(sys.argv[0])]
        check(False, what, "line %s: %s: %s" % (where[-1].lineno if where else "?", type(e).__name__, e))


def done():
    print("1..%d" % seen)
