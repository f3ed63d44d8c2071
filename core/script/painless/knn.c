/*
 * knn.c: OpenSearch's language knn, whose one script knn_score measures a vector of the documents
 * against one of the parameters. It is a Painless program that reads them. Scores by space:
 * OpenSearch's k-NN documentation, "Exact k-NN with scoring script".
 */
#include "script/painless/engine.h"

static const char program[] =
    "if (params.field == null) throw new IllegalArgumentException('Missing parameter [field]');"
    "if (params.query_value == null)"
    " throw new IllegalArgumentException('Missing parameter [query_value]');"
    "if (params.space_type == null)"
    " throw new IllegalArgumentException('Missing parameter [space_type]');"
    "def q = params.query_value; String f = params.field; String s = "
    "params.space_type.toLowerCase();"
    "if (doc[f].size() == 0) return 0.0;"
    "if (s == 'l2') return 1.0 / (1.0 + l2Squared(q, f));"
    "if (s == 'l1') return 1.0 / (1.0 + l1Norm(q, f));"
    "if (s == 'linf') return 1.0 / (1.0 + lInfNorm(q, f));"
    "if (s == 'cosinesimil') return 1.0 + cosineSimilarity(q, f);"
    "if (s == 'hamming' || s == 'hammingbit') return 1.0 / (1.0 + hamming(q, f));"
    "if (s == 'innerproduct') { double d = innerProduct(q, f); return d < 0.0 ? 1.0 / (1.0 - d) : "
    "d + 1.0; }"
    "throw new IllegalArgumentException('Invalid space type: ' + params.space_type);";

static int compile(qd_str source, qd_script_context c, uint8_t variant, qd_account *account,
                   void **out, size_t *bytes, qd_err *err)
{
    if (!qd_str_is(source, "knn_score"))
        return qd_err_set(err, QD_E_ARG, "Unknown script name %.*s", QD_STR_ARG(source));
    return qd_script_painless.compile(qd_str_c(program), c, variant, account, out, bytes, err);
}

static int run(const void *compiled, qd_script_exec *x, qd_sv *out, qd_err *err)
{
    return qd_script_painless.run(compiled, x, out, err);
}

static void close_run(qd_script_exec *x)
{
    qd_script_painless.close(x);
}

static void program_free(void *compiled)
{
    qd_script_painless.free(compiled);
}

static uint32_t fields(const void *compiled, const qd_str **names)
{
    return qd_script_painless.fields(compiled, names);
}

static bool uses(const void *compiled, qd_script_var v)
{
    return qd_script_painless.uses(compiled, v);
}

const qd_script_lang qd_script_knn = {.name = "knn",
                                      .contexts = 1ull << QD_SCRIPT_SCORE,
                                      .standard = QD_SCRIPT_SCORE,
                                      .compile = compile,
                                      .run = run,
                                      .close = close_run,
                                      .free = program_free,
                                      .fields = fields,
                                      .uses = uses};
