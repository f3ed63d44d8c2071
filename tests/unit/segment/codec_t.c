/* codec_t.c: every kernel gives the scalar's results, for every width, count and place of the tail.
 */
#include "base/mem.h"
#include "segment/codec/codec.h"
#include "unit/lib/codecs.h"
#include "unit/unit.h"

static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) ^ (uint32_t)(seed << 11);
}

/* Streams in blocks of the exact size, so that a sanitizer sees reads behind the slack. */
static void every_kernel_unpacks_what_was_packed(void **state)
{
    (void)state;
    const qd_codec *t[CODECS_MAX];
    uint32_t nt = codecs_here(t), in[128], out[192], want[128];
    for (unsigned b = 0; b <= 32; b++) {
        if (!qd_codec_width_ok(b)) continue;
        for (uint32_t n = 1; n <= 128; n += n < 20 || n > 110 ? 1 : 7) {
            for (uint32_t i = 0; i < n; i++) in[i] = b ? next() >> (32 - b) : 0;
            uint32_t bytes = qd_codec_bytes(n, b), base = next();
            uint8_t *p = qd_alloc(NULL, bytes + QD_CODEC_SLACK);
            memset(p, 0xa5, bytes + QD_CODEC_SLACK);
            assert_int_equal(qd_codec_pack(in, n, b, p), bytes);
            assert_int_equal(p[bytes], 0xa5);
            uint32_t sum = base;
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(qd_codec_one(p, b, i), in[i]);
                want[i] = sum += in[i] + 1;
            }
            for (uint32_t k = 0; k < nt; k++) {
                t[k]->vals_n(p, b, 0, n, out);
                assert_memory_equal(out, in, n * 4);
                t[k]->docs_n(p, b, base, n, out);
                assert_memory_equal(out, want, n * 4);
                if (n < 128) continue;
                t[k]->docs(p, b, base, out);
                assert_memory_equal(out, want, 512);
                t[k]->vals(p, b, 7, out);
                for (uint32_t i = 0; i < 128; i++) assert_int_equal(out[i], in[i] + 7);
            }
            qd_free(p);
        }
    }
}

static void bitmaps_give_their_bits_in_order(void **state)
{
    (void)state;
    const qd_codec *t[CODECS_MAX];
    uint32_t nt = codecs_here(t), out[320], want[320];
    for (uint32_t round = 0; round < 2000; round++) {
        uint32_t docs = 1 + next() % 700, words = (docs + 511) / 512 * 8;
        uint64_t *w = qd_calloc(NULL, words * 8);
        uint32_t density = 1 + next() % 10;
        for (uint32_t i = 0; i < docs; i++)
            if (next() % density == 0) w[i >> 6] |= 1ull << (i & 63);
        uint32_t from = next() % (docs + 1), end = next() % (docs + 1), n = 1 + next() % 200, m = 0;
        for (uint32_t i = from; i < end && m < n; i++)
            if (w[i >> 6] >> (i & 63) & 1) want[m++] = i;
        for (uint32_t k = 0; k < nt; k++) {
            assert_int_equal(t[k]->bits(w, from, end, n, out), m);
            assert_memory_equal(out, want, m * 4);
        }
        qd_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_unpacks_what_was_packed),
        cmocka_unit_test(bitmaps_give_their_bits_in_order),
    };
    return unit_run(tests);
}
