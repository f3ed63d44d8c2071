/* engine.h: mustache, as a language of scripts. */
#ifndef QD_SCRIPT_MUSTACHE_ENGINE_H
#define QD_SCRIPT_MUSTACHE_ENGINE_H

#include "script/script.h"

extern const qd_script_lang qd_script_mustache;

#endif
