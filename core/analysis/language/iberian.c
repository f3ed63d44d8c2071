/*
 * iberian.c: Brazilian Portuguese by the endings and regions of Snowball's Portuguese stemmer
 * (M. Porter, snowballstem.org) over letters without marks, and plurals of Spanish.
 */
#include "analysis/language/light_int.h"

/* Where an ending must lie: the end of the word behind one of three places. */
enum { R1, R2, RV, REGIONS };

typedef struct word {
    char16_t *b;
    int n;
    int region[REGIONS]; /* where each begins; past the word's end where there is none */
} word;

/* Endings of one kind, parted by blanks, in a region, and what takes their place. */
typedef struct endings {
    uint8_t region;
    char16_t before; /* the unit in front; 0: any */
    const char16_t *list, *put;
} endings;

static bool vowel(char16_t c)
{
    return qd_unit_of(c, u"aeiou");
}

/* Behind the next vowel (or consonant) from `at` on; the last unit does not count. */
static int behind(const char16_t *b, int n, int at, bool want)
{
    for (; at < n - 1; at++)
        if (vowel(b[at]) == want) return at + 1;
    return n;
}

static void regions_find(word *w)
{
    const char16_t *b = w->b;
    int n = w->n;
    w->region[R1] = behind(b, n, behind(b, n, 0, true), false);
    w->region[R2] = behind(b, n, behind(b, n, w->region[R1], true), false);
    w->region[RV] = n;
    if (!vowel(b[1]))
        w->region[RV] = behind(b, n, 2, true);
    else if (vowel(b[0]))
        w->region[RV] = behind(b, n, 2, false);
    if (w->region[RV] == n && n > 3) w->region[RV] = 3;
}

/* Does the word end with `end` within the region? */
static bool ends(const word *w, int region, const char16_t *end)
{
    int from = w->region[region];
    return from < w->n && qd_units_end_any(w->b + from, w->n - from, end);
}

/* The longest ending of the row that the word has in its region, in units. */
static int longest(const word *w, const endings *row)
{
    int best = 0, from = w->region[row->region];
    for (const char16_t *e = row->list; *e;) {
        int len = 0;
        while (e[len] && e[len] != ' ') len++;
        bool fits = len > best && w->n - len >= from &&
                    !memcmp(w->b + w->n - len, e, (size_t)len * sizeof *e);
        if (fits && (!row->before || (w->n > len && w->b[w->n - len - 1] == row->before)))
            best = len;
        e += len + (e[len] == ' ');
    }
    return best;
}

/* Replaces the longest ending of all rows; false: there is none. */
static bool ending_off(word *w, const endings *rows, size_t count)
{
    const endings *row = NULL;
    int most = 0;
    for (size_t i = 0; i < count; i++) {
        int len = longest(w, &rows[i]);
        if (len <= most) continue;
        most = len;
        row = &rows[i];
    }
    if (!row) return false;
    w->n -= most;
    for (const char16_t *p = row->put; *p; p++) w->b[w->n++] = *p;
    return true;
}

static const endings nominal[] = {
    {R2, 0,
     u"eza ezas ico ica icos icas ismo ismos avel ivel ista istas oso osa osos osas amento amentos "
     u"imento imentos adora adoras ador adores acao acoes mente idade idades iva ivo ivas ivos",
     u""},
    {R1, 0, u"amente", u""},
    {R2, 0, u"logia", u"log"},
    {R2, 0, u"logias", u"logias"},
    {R2, 0, u"ucion uciones", u"u"},
    {R2, 0, u"encia encias", u"ente"},
    {RV, u'e', u"ira iras", u"ir"},
};

static const endings verbal[] = {
    {RV, 0,
     u"ada ida aria eria iria ara era asse esse isse aste este iste arei erei irei ei ear am iam "
     u"ariam eriam iriam aram eram iram avam em arem erem irem assem essem issem ando endo indo "
     u"ado "
     u"ido arao erao irao ar er ir as adas idas ias arias erias irias aras eras iras avas es ardes "
     u"erdes irdes ares eres ires asses esses isses astes estes istes is ais eis areis ereis ireis "
     u"arieis erieis irieis asseis esseis isseis aveis ados idos amos armos ermos irmos emos imos "
     u"iamos ariamos eriamos iriamos ieis avamos aramos eramos iramos aremos eremos iremos assemos "
     u"essemos issemos eu iu ou ia",
     u""},
    {RV, 0, u"ira", u"ira"},
};

/* The last e of the word as it came, with the u of gue and the i of cie. */
static void last_e(const word *came, word *w)
{
    if (!ends(came, RV, u"e")) return;
    char16_t more = ends(came, RV, u"gue") ? u'u' : ends(came, RV, u"cie") ? u'i' : 0;
    if (w->n && w->b[w->n - 1] == 'e') w->n--;
    if (more && w->n && w->b[w->n - 1] == more) w->n--;
}

/* Lower case without marks, and without a mark of punctuation around; 0: no word for this stemmer.
 */
static int plain_word(const char16_t *b, int n, char16_t *out)
{
    static const char16_t marks[] = u"\"'-,;.?!";
    for (int i = 0; i < n; i++) out[i] = (char16_t)qd_char_lower(b[i]);
    qd_units_map(out, n, u"áaâaãaéeêeíióoôoõoúuüuçcñn");
    if (n >= 2 && qd_unit_of(out[0], marks)) n = qd_units_cut(out, n, 0, 1);
    if (n >= 2 && qd_unit_of(out[n - 1], marks)) n--;
    return n;
}

int qd_stem_brazilian(char16_t *b, int n)
{
    enum { MAX = 30 };
    char16_t whole[MAX + 8];
    if (n >= MAX + 2) return n;
    word came = {.b = whole, .n = plain_word(b, n, whole)};
    if (came.n >= MAX || came.n <= 2) return n;
    memcpy(b, whole, (size_t)came.n * sizeof *b);
    for (int i = 0; i < came.n; i++)
        if (!qd_char_letter(b[i])) return came.n;
    regions_find(&came);
    word w = came;
    w.b = b;
    if (ending_off(&w, nominal, QD_COUNT_OF(nominal)) ||
        ending_off(&w, verbal, QD_COUNT_OF(verbal))) {
        if (ends(&came, RV, u"ci") && w.n && b[w.n - 1] == 'i') w.n--;
    } else {
        w.n -= ends(&w, RV, u"os") ? 2 : ends(&w, RV, u"a i o") ? 1 : 0;
    }
    last_e(&came, &w);
    return w.n;
}

/* --- Spanish plurals --- */

static const char16_t invariant[] =
    u"abrebotellas abrecartas abrelatas afueras albatros albricias aledaños alexis aries alicates "
    u"analisis andurriales antitesis añicos apendicitis apocalipsis arcoiris bilis boletus boris "
    u"brindis cactus canutas caries cascanueces cascarrabias ciempies cifosis cortaplumas corpus "
    u"cosmos cosquillas creces crisis cuatrocientas cuatrocientos cuelgacapas cuentacuentos "
    u"cuentapasos cumpleaños doscientas doscientos dosis enseres entonces esponsales estatus "
    u"exequias "
    u"fauces forceps fotosintesis gafas gafotas gargaras gris honorarios ictus jueves lapsus "
    u"lavacoches lavaplatos limpiabotas lunes maitines martes mondadientes novecientas novecientos "
    u"nupcias ochocientas ochocientos pais paris parabrisas paracaidas parachoques paraguas "
    u"pararrayos pisapapeles piscis portaaviones portamaletas portamantas quinientas quinientos "
    u"quitamanchas recogepelotas rictus rompeolas sacacorchos sacapuntas saltamontes salvavidas "
    u"seis "
    u"seiscientas seiscientos setecientas setecientos sintesis tenis tifus trabalenguas vacaciones "
    u"venus versus viacrucis virus viveres volandas";
static const char16_t special[] =
    u"yoes noes sies clubes faralaes albalaes itemes albumes sandwiches relojes bojes contrarreloj "
    u"carcajes";

int qd_stem_spanish_plural(char16_t *b, int n)
{
    enum { LONGEST = 16 };
    static const qd_rule rules[] = {
        {3, 1, u"#s ys q??s guis gues", NULL, 0},
        {3, 2, u"ares eres ires ores ures ades edes ides odes udes ales eles iles oles ules", NULL,
         0},
        {3, 2, u"anes enes ines ones unes axes exes ixes oxes uxes", NULL, 0},
        {3, 2, u"yes ues ses uies lies ries ties nies", NULL, 0},
        {3, 2, u"ais eis iis ois uis dis", u"y", 0},
        {3, 3, u"ces", u"z", 0},
        {3, 1, u"s", NULL, 0},
        QD_RULES_END,
    };
    char16_t low[LONGEST];
    if (n < 4) return n;
    qd_units_map(b, n, u"àaáaâaäaòoóoôoöoèeéeêeëeùuúuûuüuìiíiîiïi");
    for (int i = 0; n <= LONGEST && i < n; i++) low[i] = (char16_t)qd_char_lower(b[i]);
    if (n <= LONGEST && qd_units_in(low, n, invariant)) return n;
    if (n <= LONGEST && qd_units_in(low, n, special)) return n - 2;
    return qd_rules_run(rules, b, n);
}
