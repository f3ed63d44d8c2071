/* engine.h: Painless, and what is made of it, as languages. */
#ifndef QD_SCRIPT_PAINLESS_ENGINE_H
#define QD_SCRIPT_PAINLESS_ENGINE_H

#include "script/script.h"

extern const qd_script_lang qd_script_painless, qd_script_knn;

#endif
