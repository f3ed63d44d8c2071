/* store_tamper.c: see store_tamper.h. */
#include "lib/store_tamper.h"
#include "store/reads.h"
#include <string.h>

#define MUST(call)                                                                                 \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        qd_assert(rc_ == 0);                                                                       \
    } while (0)

uint32_t store_tamper_section(qd_file *from, uint32_t i)
{
    uint32_t section;
    uint64_t off, bytes;
    bool resident;
    return qd_file_section_at_index(from, i, &section, &off, &bytes, &resident) ? section
                                                                                : UINT32_MAX;
}

static uint8_t *read_section(qd_file *from, uint32_t section, uint64_t bytes, qd_account *account)
{
    qd_section_cursor c;
    uint8_t *copy = qd_alloc(account, bytes + 1);
    qd_assert(copy);
    MUST(qd_section_cursor_open(&c, from, section, 0, account, NULL));
    for (uint64_t at = 0; at < bytes;) {
        MUST(qd_section_cursor_need(&c, 4096, NULL));
        memcpy(copy + at, c.p, c.have);
        at += c.have;
        qd_section_cursor_skip(&c, c.have);
    }
    qd_section_cursor_close(&c);
    return copy;
}

void store_tamper(qd_store *s, qd_file *from, qd_str to, const qd_file_format *format,
                  const store_change *c, uint32_t n, qd_account *account)
{
    qd_file_writer *w;
    uint32_t section;
    uint64_t off, bytes;
    bool resident;
    MUST(qd_file_create(s, to, format, qd_file_id(from), account, &w, NULL));
    for (uint32_t i = 0; qd_file_section_at_index(from, i, &section, &off, &bytes, &resident);
         i++) {
        uint8_t *copy = read_section(from, section, bytes, account);
        for (uint32_t k = 0; k < n && bytes; k++)
            if (c[k].section == section) copy[c[k].at % bytes] ^= c[k].mask;
        MUST(qd_file_section_begin(w, section, resident, NULL));
        MUST(qd_file_write(w, copy, bytes, NULL));
        MUST(qd_file_section_end(w, NULL, NULL));
        qd_free(copy);
    }
    MUST(qd_file_commit(w, false, NULL, NULL));
}
