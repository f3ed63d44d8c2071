import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, Long, Double, Boolean and null: for mappings, search bodies and rows. */
final class Json {
    private final String s;
    private int p;

    private Json(String s) { this.s = s; }

    static Object parse(String text) {
        Json j = new Json(text);
        Object o = j.value();
        j.ws();
        if (j.p != text.length()) throw new IllegalArgumentException("bytes behind the JSON at " + j.p);
        return o;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object o) { return (Map<String, Object>) o; }
    @SuppressWarnings("unchecked")
    static List<Object> list(Object o) { return (List<Object>) o; }

    private void ws() { while (p < s.length() && s.charAt(p) <= ' ') p++; }

    private char next() {
        ws();
        if (p == s.length()) throw new IllegalArgumentException("unterminated JSON");
        return s.charAt(p);
    }

    private Object value() {
        char c = next();
        if (c == '{') {
            Map<String, Object> m = new LinkedHashMap<>();
            p++;
            while (next() != '}') {
                String k = string();
                if (next() != ':') throw new IllegalArgumentException("no colon at " + p);
                p++;
                m.put(k, value());
                if (next() == ',') p++;
            }
            p++;
            return m;
        }
        if (c == '[') {
            List<Object> l = new ArrayList<>();
            p++;
            while (next() != ']') {
                l.add(value());
                if (next() == ',') p++;
            }
            p++;
            return l;
        }
        if (c == '"') return string();
        int from = p;
        while (p < s.length() && ",]} \t\r\n".indexOf(s.charAt(p)) < 0) p++;
        String t = s.substring(from, p);
        if (t.equals("true")) return Boolean.TRUE;
        if (t.equals("false")) return Boolean.FALSE;
        if (t.equals("null")) return null;
        if (t.indexOf('.') < 0 && t.indexOf('e') < 0 && t.indexOf('E') < 0) return Long.valueOf(t);
        return Double.valueOf(t);
    }

    private String string() {
        if (next() != '"') throw new IllegalArgumentException("no string at " + p);
        int from = ++p;
        while (s.charAt(p) != '"' && s.charAt(p) != '\\') p++;
        if (s.charAt(p) == '"') return s.substring(from, p++);
        StringBuilder b = new StringBuilder(s.substring(from, p));
        for (char c; (c = s.charAt(p++)) != '"'; ) {
            if (c != '\\') { b.append(c); continue; }
            c = s.charAt(p++);
            switch (c) {
                case 'n': b.append('\n'); break;
                case 't': b.append('\t'); break;
                case 'r': b.append('\r'); break;
                case 'b': b.append('\b'); break;
                case 'f': b.append('\f'); break;
                case 'u': b.append((char) Integer.parseInt(s.substring(p, p + 4), 16)); p += 4; break;
                default: b.append(c);
            }
        }
        return b.toString();
    }
}
