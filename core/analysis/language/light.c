/* light.c: the light stemmers by the names of Elasticsearch's stemmer filter. */
#include "analysis/language/light_int.h"

static const qd_units_type stemmers[] = {
    {"arabic", qd_stem_arabic},
    {"bengali", qd_stem_bengali},
    {"brazilian", qd_stem_brazilian},
    {"bulgarian", qd_stem_bulgarian},
    {"czech", qd_stem_czech},
    {"galician", qd_stem_galician},
    {"greek", qd_stem_greek},
    {"hindi", qd_stem_hindi},
    {"indonesian", qd_stem_indonesian},
    {"latvian", qd_stem_latvian},
    {"light_finnish", qd_stem_light_finnish},
    {"light_french", qd_stem_light_french},
    {"light_german", qd_stem_light_german},
    {"light_hungarian", qd_stem_light_hungarian},
    {"light_italian", qd_stem_light_italian},
    {"light_norwegian", qd_stem_light_norwegian},
    {"light_nynorsk", qd_stem_light_nynorsk},
    {"light_portuguese", qd_stem_light_portuguese},
    {"light_russian", qd_stem_light_russian},
    {"light_spanish", qd_stem_light_spanish},
    {"light_swedish", qd_stem_light_swedish},
    {"minimal_french", qd_stem_minimal_french},
    {"minimal_galician", qd_stem_minimal_galician},
    {"minimal_german", qd_stem_minimal_german},
    {"minimal_norwegian", qd_stem_minimal_norwegian},
    {"minimal_nynorsk", qd_stem_minimal_nynorsk},
    {"minimal_portuguese", qd_stem_minimal_portuguese},
    {"persian", qd_stem_persian},
    {"portuguese_rslp", qd_stem_rslp_portuguese},
    {"sorani", qd_stem_sorani},
    {"spanish_plural", qd_stem_spanish_plural},
};

/* light_french is lightFrench, too. */
static bool same(qd_str name, const char *row)
{
    size_t i = 0;
    for (; *row; row++) {
        if (*row == '_' && !(i < name.n && name.p[i] == '_')) continue;
        if (i == name.n || (name.p[i] | 32) != (*row | 32)) return false;
        i++;
    }
    return i == name.n;
}

qd_units_fn *qd_light_stemmer(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(stemmers); i++)
        if (same(name, stemmers[i].name)) return stemmers[i].fn;
    return NULL;
}
