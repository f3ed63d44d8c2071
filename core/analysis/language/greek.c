/*
 * greek.c: G. Ntais' stemmer of Greek (Development of a Stemmer for the Greek Language, 2006) over
 * lower case without accents and with one sigma: endings with the stems that keep a part of them.
 */
#include "analysis/language/light_int.h"

/* Endings of one step, and what a stem gets back that is one of `whole` or ends with one of `tail`.
 */
typedef struct keep {
    const char16_t *back, *whole, *tail;
    bool unless; /* all others get it */
    qd_rule rules[8];
} keep;

#define VOWELS u" α ε η ι ο υ ω"
#define VOWELS_NO_Y u" α ε η ι ο ω"

static const qd_rule irregular[] = {
    {9, 4, u"καθεστωτοσ καθεστωτων", NULL, 0},
    {8, 4, u"γεγονοτοσ γεγονοτων", NULL, 0},
    {8, 3, u"καθεστωτα", NULL, 0},
    {7, 4, u"τατογιου τατογιων", NULL, 0},
    {7, 3, u"γεγονοτα", NULL, 0},
    {7, 2, u"καθεστωσ", NULL, 0},
    {6, 4, u"σκαγιου σκαγιων ολογιου ολογιων κρεατοσ κρεατων περατοσ περατων τερατοσ τερατων", NULL,
     0},
    {6, 3, u"τατογια", NULL, 0},
    {6, 2, u"γεγονοσ", NULL, 0},
    {5, 4, u"φαγιου φαγιων σογιου σογιων", NULL, 0},
    {5, 3, u"σκαγια ολογια κρεατα περατα τερατα", NULL, 0},
    {4, 3, u"φαγια σογια φωτοσ φωτων", NULL, 0},
    {4, 2, u"κρεασ περασ τερασ", NULL, 0},
    {3, 2, u"φωτα", NULL, 0},
    {2, 1, u"φωσ", NULL, 0},
    QD_RULES_END,
};

#define ONE(over, cut, ends)                                                                       \
    {                                                                                              \
        {over, cut, ends, NULL, 0}, QD_RULES_END                                                   \
    }
#define TWO(o1, c1, e1, o2, c2, e2)                                                                \
    {                                                                                              \
        {o1, c1, e1, NULL, 0}, {o2, c2, e2, NULL, 0}, QD_RULES_END                                 \
    }

static const keep first[] = {
    {u"αδ", u"", u"οκ μαμ μαν μπαμπ πατερ γιαγι νταντ κυρ θει πεθερ", true,
     ONE(4, 4, u"αδεσ αδων")},
    {u"εδ", u"", u"οπ ιπ εμπ υπ γηπ δαπ κρασπ μιλ", false, ONE(4, 4, u"εδεσ εδων")},
    {u"ουδ", u"", u"αρκ καλιακ πεταλ λιχ πλεξ σκ σ φλ φρ βελ λουλ χν σπ τραγ φε", false,
     ONE(5, 5, u"ουδεσ ουδων")},
    {u"ε", u"θ δ ελ γαλ ν π ιδ παρ", u"", false, ONE(3, 3, u"εωσ εων")},
    {u"ι", u"", VOWELS, false, TWO(2, 2, u"ια", 3, 3, u"ιου ιων")},
    {u"ικ",
     u"αλ αδ ενδ αμαν αμμοχαλ ηθ ανηθ αντιδ φυσ βρωμ γερ εξωδ καλπ καλλιν καταδ μουλ μπαν μπαγιατ "
     u"μπολ μποσ νιτ ξικ συνομηλ πετσ πιτσ πικαντ πλιατσ ποστελν πρωτοδ σερτ συναδ τσαμ υποδ φιλον "
     u"φυλοδ χασ",
     VOWELS, false, TWO(3, 3, u"ικα ικο", 4, 4, u"ικου ικων")},
};

static const qd_rule past_we[] = {
    {7, 7, u"ηθηκαμε", NULL, 0},
    {6, 6, u"ουσαμε", NULL, 0},
    {5, 5, u"αγαμε ησαμε ηκαμε", NULL, 0},
    QD_RULES_END,
};

static const keep second[] = {
    {u"αμ", u"αναπ αποθ αποκ αποστ βουβ ξεθ ουλ πεθ πικρ ποτ σιχ χ", u"", false, ONE(3, 3, u"αμε")},
    {u"αγαν",
     u"τρ τσ",
     u"",
     false,
     {{8, 8, u"ιουντανε", NULL, 0},
      {7, 7, u"ιοντανε", NULL, 0},
      {6, 7, u"ουντανε ηθηκανε", NULL, 0},
      {6, 6, u"ιοτανε", NULL, 0},
      {5, 6, u"οντανε ουσανε", NULL, 0},
      {5, 5, u"αγανε", NULL, 0},
      {4, 5, u"ησανε οτανε ηκανε", NULL, 0},
      QD_RULES_END}},
    {u"αν",
     u"βετερ βουλκ βραχμ γ δραδουμ θ καλπουζ καστελ κορμορ λαοπλ μωαμεθ μ μουσουλμ ν ουλ π πελεκ "
     u"πλ "
     u"πολισ πορτολ σαρακατσ σουλτ τσαρλατ ορφ τσιγγ τσοπ φωτοστεφ χ ψυχοπλ αγ γαλ γερ δεκ διπλ "
     u"αμερικαν ουρ πιθ πουριτ σ ζωντ ικ καστ κοπ λιχ λουθηρ μαιντ μελ σιγ σπ στεγ τραγ τσαγ φ ερ "
     u"αδαπ αθιγγ αμηχ ανικ ανοργ απηγ απιθ ατσιγγ βασ βασκ βαθυγαλ βιομηχ βραχυκ διατ διαφ ενοργ "
     u"θυσ καπνοβιομηχ καταγαλ κλιβ κοιλαρφ λιβ μεγλοβιομηχ μικροβιομηχ νταβ ξηροκλιβ ολιγοδαμ "
     u"ολογαλ πενταρφ περηφ περιτρ πλατ πολυδαπ πολυμηχ στεφ ταβ τετ υπερηφ υποκοπ χαμηλοδαπ "
     u"ψηλοταβ",
     VOWELS_NO_Y, false, ONE(3, 3, u"ανε")},
    {NULL, u"", u"", false, ONE(5, 5, u"ησετε")},
    {u"ετ",
     u"αβαρ βεν εναρ αβρ αδ αθ αν απλ βαρον ντρ σκ κοπ μπορ νιφ παγ παρακαλ σερπ σκελ συρφ τοκ υ δ "
     u"εμ θαρρ θ",
     u"οδ αιρ φορ ταθ διαθ σχ ενδ ευρ τιθ υπερθ ραθ ενθ ροθ σθ πυρ αιν συνδ συν συνθ χωρ πον βρ "
     u"καθ "
     u"ευθ εκθ νετ ρον αρκ βαρ βολ ωφελ" VOWELS_NO_Y,
     false, ONE(3, 3, u"ετε")},
};

static const keep third[] = {
    {u"ομαστ", u"ον", u"", false, ONE(6, 6, u"ομαστε")},
    {u"ιεστ", u"π απ συμπ ασυμπ ακαταπ αμεταμφ", u"", false, ONE(5, 5, u"ιεστε")},
    {u"εστ", u"αλ αρ εκτελ ζ μ ξ παρακαλ προ νισ", u"", false, ONE(4, 4, u"εστε")},
    {NULL, u"", u"", false, TWO(6, 6, u"ηθηκεσ", 5, 5, u"ηθηκα ηθηκε")},
    {u"ηκ", u"διαθ θ παρακαταθ προσθ συνθ", u"σκωλ σκουλ ναρθ σφ οθ πιθ", false,
     TWO(4, 4, u"ηκεσ", 3, 3, u"ηκα ηκε")},
    {u"ουσ",
     u"φαρμακ χαδ αγκ αναρρ βρομ εκλιπ λαμπιδ λεχ μ πατ ρ λ μεδ μεσαζ υποτειν αμ αιθ ανηκ δεσποζ "
     u"ενδιαφερ δε δευτερευ καθαρευ πλε τσα",
     u"ποδαρ βλεπ πανταχ φρυδ μαντιλ μαλλ κυματ λαχ ληγ φαγ ομ πρωτ" VOWELS, false,
     TWO(5, 5, u"ουσεσ", 4, 4, u"ουσα ουσε")},
    {u"αγ",
     u"αβαστ πολυφ αδηφ παμφ ρ ασπ αφ αμαλ αμαλλι ανυστ απερ ασπαρ αχαρ δερβεν δροσοπ ξεφ νεοπ "
     u"νομοτ "
     u"ολοπ ομοτ προστ προσωποπ συμπ συντ τ υποτ χαρ αειπ αιμοστ ανυπ αποτ αρτιπ διατ εν επιτ "
     u"κροκαλοπ σιδηροπ λ ναυ ουλαμ ουρ π τρ μ",
     u"οφ πελ χορτ λλ σφ ρπ φρ πρ λοχ σμην", false, TWO(4, 4, u"αγεσ", 3, 3, u"αγα αγε")},
    {u"ησ", u"ν χερσον δωδεκαν ερημον μεγαλον επταν", u"", false,
     TWO(4, 4, u"ησου", 3, 3, u"ησε ησα")},
    {u"ηστ", u"ασβ σβ αχρ χρ απλ αειμν δυσχρ ευχρ κοινοχρ παλιμψ", u"", false, ONE(4, 4, u"ηστε")},
    {u"ουν", u"ν ρ σπι στραβομουτσ κακομουτσ εξων", u"", false,
     TWO(6, 6, u"ησουνε ηθουνε", 4, 4, u"ουνε")},
    {u"ουμ", u"παρασουσ φ χ ωριοπλ αζ αλλοσουσ ασουσ", u"", false,
     TWO(6, 6, u"ησουμε ηθουμε", 4, 4, u"ουμε")},
    {NULL, u"", u"", false, TWO(5, 3, u"ματων ματοσ", 4, 2, u"ματα")},
};

static const qd_rule plain[] = {
    {9, 9, u"ιοντουσαν", NULL, 0},
    {8, 8, u"ιομασταν ιοσασταν ιουμαστε οντουσαν", NULL, 0},
    {7, 7,
     u"ιεμαστε ιεσαστε ιομουνα ιοσαστε ιοσουνα ιουνται ιουνταν ηθηκατε ομασταν οσασταν ουμαστε",
     NULL, 0},
    {6, 6, u"ιομουν ιονταν ιοσουν ηθειτε ηθηκαν ομουνα οσαστε οσουνα ουνται ουνταν ουσατε", NULL,
     0},
    {5, 5,
     u"αγατε ιεμαι ιεται ιεσαι ιοταν ιουμα ηθεισ ηθουν ηκατε ησατε ησουν ομουν ονται ονταν οσουν "
     u"ουμαι ουσαν",
     NULL, 0},
    {4, 4, u"αγαν αμαι ασαι αται ειτε εσαι εται ηδεσ ηδων ηθει ηκαν ησαν ησει ησεσ ομαι οταν", NULL,
     0},
    {3, 3, u"αει εισ ηθω ησω ουν ουσ", NULL, 0},
    {2, 2, u"αν ασ αω ει εσ ησ οι οσ ου υσ ων", NULL, 0},
    {1, 1, u"α ε η ι ο υ ω", NULL, 0},
    QD_RULES_END,
};

static const qd_rule degrees[] = {
    {0, 5, u"εστερ εστατ", NULL, 0},
    {0, 4, u"οτερ οτατ υτερ υτατ ωτερ ωτατ", NULL, 0},
    QD_RULES_END,
};

static int put_back(const char16_t *back, char16_t *b, int n)
{
    while (*back) b[n++] = *back++;
    return n;
}

static bool ends(const char16_t *b, int n, const char16_t *list)
{
    while (*list == ' ') list++;
    return qd_units_end_any(b, n, list);
}

static int kept(const keep *k, size_t count, char16_t *b, int n)
{
    for (size_t i = 0; i < count; i++, k++) {
        int is = qd_rules_run(k->rules, b, n);
        if (is == n) continue;
        n = is;
        bool holds = qd_units_in(b, n, k->whole) || ends(b, n, k->tail);
        if (k->back && holds != k->unless &&
            !(k->back[0] == u'α' && k->back[1] == u'γ' && !k->back[2] &&
              (qd_units_in(b, n, u"ψοφ ναυλοχ") || qd_units_end(b, n, u"κολλ"))))
            n = put_back(k->back, b, n);
    }
    return n;
}

int qd_stem_greek(char16_t *b, int n)
{
    static const qd_rule lords[] = {{5, 5, u"οντασ ωντασ", NULL, 0}, QD_RULES_END};
    const int was = n;
    if (n < 4) return n;
    n = kept(first, QD_COUNT_OF(first), b, qd_rules_run(irregular, b, n));
    if (n == 5 && qd_units_end(b, n, u"αγαμε"))
        n = kept(second + 1, QD_COUNT_OF(second) - 1, b, n - 1);
    else
        n = kept(second, QD_COUNT_OF(second), b, qd_rules_run(past_we, b, n));
    int is = qd_rules_run(lords, b, n);
    if (is != n) {
        n = is;
        if (n == 3 && qd_units_end(b, n, u"αρχ")) n = put_back(u"οντ", b, n);
        if (qd_units_end(b, n, u"κρε")) n = put_back(u"ωντ", b, n);
    }
    n = kept(third, QD_COUNT_OF(third), b, n);
    if (n == was) n = qd_rules_run(plain, b, n);
    return qd_rules_run(degrees, b, n);
}
