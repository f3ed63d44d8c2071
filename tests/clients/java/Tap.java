import java.util.Objects;

/** What the programs of this folder tell, in TAP. */
final class Tap {
    private static int seen;

    interface Work {
        void run() throws Exception;
    }

    interface Fails {
        boolean as(Exception e);
    }

    static void check(boolean ok, String what, Object... told) {
        System.out.println((ok ? "ok " : "not ok ") + ++seen + " - " + what);
        if (!ok && told.length > 0) System.out.println("# " + java.util.Arrays.deepToString(told).replace('\n', ' '));
    }

    static void equal(Object got, Object wanted, String what) {
        check(Objects.equals(got, wanted), what, "got", got, "instead of", wanted);
    }

    /** The work throws what the client throws for that answer. */
    static void raises(String what, Fails fails, Work work) {
        try {
            work.run();
            check(false, what, "nothing was thrown");
        } catch (Exception e) {
            check(fails.as(e), what, e.toString());
        }
    }

    /** What a part throws fails it, and the next one goes on. */
    static void part(String what, Work work) {
        try {
            work.run();
        } catch (Throwable e) {
            java.io.StringWriter text = new java.io.StringWriter();
            e.printStackTrace(new java.io.PrintWriter(text));
            check(false, what, text.toString().replace('\n', ' ').replace('\t', ' '));
        }
    }

    static void done() {
        System.out.println("1.." + seen);
        System.exit(0);
    }

    private Tap() {}
}
