/* light_int.h: the light stemmers; keywords never reach them. */
#ifndef QD_ANALYSIS_LIGHT_INT_H
#define QD_ANALYSIS_LIGHT_INT_H

#include "analysis/language/units_int.h"

qd_units_fn qd_stem_light_french, qd_stem_minimal_french, qd_stem_light_german,
    qd_stem_minimal_german, qd_stem_light_italian, qd_stem_light_spanish, qd_stem_light_portuguese,
    qd_stem_light_swedish, qd_stem_light_norwegian, qd_stem_light_nynorsk,
    qd_stem_minimal_norwegian, qd_stem_minimal_nynorsk, qd_stem_light_finnish,
    qd_stem_light_hungarian, qd_stem_bulgarian, qd_stem_czech, qd_stem_light_russian,
    qd_stem_latvian, qd_stem_indonesian, qd_stem_hindi, qd_stem_bengali, qd_stem_sorani,
    qd_stem_arabic, qd_stem_persian, qd_stem_spanish_plural, qd_stem_rslp_portuguese,
    qd_stem_minimal_portuguese, qd_stem_galician, qd_stem_minimal_galician, qd_stem_brazilian,
    qd_stem_greek;

#endif
