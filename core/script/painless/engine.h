/* engine.h: Painless, as a language. */
#ifndef QD_SCRIPT_PAINLESS_ENGINE_H
#define QD_SCRIPT_PAINLESS_ENGINE_H

#include "script/script.h"

extern const qd_script_lang qd_script_painless;

#endif
