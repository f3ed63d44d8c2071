/* engine.h: the language `expression`: one formula of doubles, as Lucene's expressions are. */
#ifndef QD_SCRIPT_EXPRESSION_ENGINE_H
#define QD_SCRIPT_EXPRESSION_ENGINE_H

#include "script/script.h"

extern const qd_script_lang qd_script_expression;

#endif
