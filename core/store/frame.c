/* frame.c: headers, tables and tails of files and objects. See frame_int.h. */
#include "base/hash.h"
#include "base/str.h"
#include "store/frame_int.h"
#include <inttypes.h>
#include <stdio.h>

int qdi_damage(qd_err *err, qd_str name, const char *part, uint64_t offset, const char *what)
{
    int rc = qd_err_set(err, QD_E_CORRUPT, "file %.*s is damaged at offset %" PRIu64 " (%s): %s",
                        QD_STR_ARG(name), offset, part, what);
    qd_err_detail_str(err, "file", name);
    qd_err_detail_str(err, "part", qd_str_c(part));
    qd_err_detail_i64(err, "offset", (int64_t)offset);
    return rc;
}

int qdi_damage_section(qd_err *err, qd_str name, uint32_t section, uint64_t offset,
                       uint64_t file_offset, const char *what)
{
    char part[64];
    snprintf(part, sizeof part, "section %" PRIu32 " + %" PRIu64, section, offset);
    return qdi_damage(err, name, part, file_offset, what);
}

static void header_begin(uint8_t *out, uint64_t magic, qd_str name, uint32_t version)
{
    qd_assert(name.n > 0 && name.n <= 16);
    memset(out, 0, FRAME_HEADER);
    qd_put_u64le(out, magic);
    memcpy(out + 8, name.p, name.n);
    qd_put_u32le(out + 24, version);
    qd_put_u32le(out + 28, FRAME_VERSION);
}

void qdi_frame_header_put(uint8_t out[FRAME_HEADER], const qd_file_format *format,
                          const uint8_t id[16])
{
    header_begin(out, FRAME_FILE_MAGIC, format->name, format->version);
    memcpy(out + 32, id, 16);
    qd_put_u64le(out + 56, qd_xxh3(out, 56));
}

void qdi_frame_object_put(uint8_t out[FRAME_HEADER], qd_str format, uint32_t version,
                          qd_str content)
{
    header_begin(out, FRAME_OBJECT_MAGIC, format, version);
    qd_put_u64le(out + 32, content.n);
    qd_put_u64le(out + 40, qd_xxh3(content.p, content.n));
    qd_put_u64le(out + 56, qd_xxh3(out, 56));
}

int qdi_frame_header_get(const uint8_t in[FRAME_HEADER], uint64_t magic, frame_header *out,
                         qd_str name, qd_err *err)
{
    if (qd_get_u64le(in) != magic) return qdi_damage(err, name, "header", 0, "wrong magic");
    if (qd_get_u64le(in + 56) != qd_xxh3(in, 56)) {
        return qdi_damage(err, name, "header", 0, "wrong checksum");
    }
    uint32_t framing = qd_get_u32le(in + 28);
    if (framing != FRAME_VERSION) {
        return qd_err_set(err, framing > FRAME_VERSION ? QD_E_FORMAT_NEW : QD_E_FORMAT_OLD,
                          "file %.*s: framing version %" PRIu32 ", this program reads %u",
                          QD_STR_ARG(name), framing, FRAME_VERSION);
    }
    memcpy(out->name, in + 8, 16);
    out->name[16] = 0;
    out->version = qd_get_u32le(in + 24);
    memcpy(out->id, in + 32, 16);
    out->content = qd_get_u64le(in + 32);
    out->sum = qd_get_u64le(in + 40);
    return 0;
}

int qdi_frame_format_check(const frame_header *h, qd_str format, uint32_t min, uint32_t max,
                           qd_str name, qd_err *err)
{
    if (!qd_str_is(format, h->name)) {
        char what[80];
        snprintf(what, sizeof what, "its format is \"%.16s\", expected \"%.*s\"", h->name,
                 QD_STR_ARG(format));
        return qdi_damage(err, name, "header", 8, what);
    }
    if (h->version > max) {
        return qd_err_set(err, QD_E_FORMAT_NEW,
                          "file %.*s: format %s version %" PRIu32 " is newer than %" PRIu32
                          ", the newest that this program reads",
                          QD_STR_ARG(name), h->name, h->version, max);
    }
    if (h->version < min) {
        return qd_err_set(err, QD_E_FORMAT_OLD,
                          "file %.*s: format %s version %" PRIu32 " is older than %" PRIu32
                          ", the oldest that this program reads",
                          QD_STR_ARG(name), h->name, h->version, min);
    }
    return 0;
}

void qdi_frame_section_put(uint8_t out[FRAME_ENTRY], const frame_section *s)
{
    qd_assert(s->offset % FRAME_ALIGN == 0 && s->flags <= FRAME_RESIDENT); /* as when read */
    qd_put_u32le(out, s->id);
    qd_put_u32le(out + 4, s->flags);
    qd_put_u64le(out + 8, s->offset);
    qd_put_u64le(out + 16, s->bytes);
    qd_put_u32le(out + 24, s->page);
    qd_put_u32le(out + 28, 0);
}

void qdi_frame_tail_put(uint8_t out[FRAME_TAIL], const frame_tail *t)
{
    qd_assert(t->resident <= t->checksums && t->table == t->checksums + (uint64_t)t->pages * 8);
    qd_assert(t->length == t->table + (uint64_t)t->sections * FRAME_ENTRY + FRAME_TAIL);
    qd_put_u64le(out, t->length);
    qd_put_u64le(out + 8, t->table);
    qd_put_u64le(out + 16, t->resident);
    qd_put_u64le(out + 24, t->checksums);
    qd_put_u32le(out + 32, t->sections);
    qd_put_u32le(out + 36, t->pages);
    memcpy(out + 40, t->id, 16);
    qd_put_u32le(out + 56, QD_FILE_PAGE);
    qd_put_u32le(out + 60, 0);
    qd_put_u64le(out + 64, t->checksums_sum);
    qd_put_u64le(out + 72, t->table_sum);
    qd_put_u64le(out + 80, qd_xxh3(out, 80));
    qd_put_u64le(out + 88, FRAME_TAIL_MAGIC);
}

int qdi_frame_tail_get(const uint8_t in[FRAME_TAIL], uint64_t length, frame_tail *out, qd_str name,
                       qd_err *err)
{
    uint64_t at = length - FRAME_TAIL;
    qd_assert(length >= FRAME_HEADER + FRAME_TAIL);
    if (qd_get_u64le(in + 88) != FRAME_TAIL_MAGIC) {
        return qdi_damage(err, name, "footer", at + 88, "wrong magic (file cut or overwritten)");
    }
    if (qd_get_u64le(in + 80) != qd_xxh3(in, 80)) {
        return qdi_damage(err, name, "footer", at, "wrong checksum");
    }
    frame_tail t = {.length = qd_get_u64le(in),
                    .table = qd_get_u64le(in + 8),
                    .resident = qd_get_u64le(in + 16),
                    .checksums = qd_get_u64le(in + 24),
                    .sections = qd_get_u32le(in + 32),
                    .pages = qd_get_u32le(in + 36),
                    .checksums_sum = qd_get_u64le(in + 64),
                    .table_sum = qd_get_u64le(in + 72)};
    memcpy(t.id, in + 40, 16);
    if (t.length != length) return qdi_damage(err, name, "footer", at, "file length differs");
    bool fits = t.sections <= QD_FILE_SECTIONS_MAX && qd_get_u32le(in + 56) == QD_FILE_PAGE &&
                t.resident >= FRAME_HEADER && t.resident <= t.checksums && t.checksums <= t.table &&
                t.table <= at && t.checksums % FRAME_ALIGN == 0 &&
                t.table - t.checksums == (uint64_t)t.pages * 8 &&
                at - t.table == (uint64_t)t.sections * FRAME_ENTRY;
    if (!fits) return qdi_damage(err, name, "footer", at, "impossible offsets");
    *out = t;
    return 0;
}

static int bad_entry(const frame_tail *t, uint32_t i, qd_str name, qd_err *err)
{
    return qdi_damage(err, name, "section table", t->table + (uint64_t)i * FRAME_ENTRY,
                      "impossible section");
}

/* Sections stand one behind the other, fill the file up to the checksums, have ids of their own. */
static int check_arrangement(const frame_tail *t, const frame_section *all, qd_str name,
                             qd_err *err)
{
    uint64_t at = FRAME_HEADER, pages = 0, resident = t->checksums;
    for (uint32_t i = 0; i < t->sections; i++) {
        const frame_section *s = &all[i];
        bool is_resident = s->flags & FRAME_RESIDENT;
        if (s->offset != at || s->bytes > t->length || s->flags > FRAME_RESIDENT ||
            s->reserved != 0 || s->page != pages) {
            return bad_entry(t, i, name, err);
        }
        if (is_resident && resident == t->checksums) resident = s->offset;
        if (!is_resident && resident != t->checksums) return bad_entry(t, i, name, err);
        for (uint32_t j = 0; j < i; j++) {
            if (all[j].id == s->id) return bad_entry(t, i, name, err);
        }
        at += frame_padded(s->bytes);
        pages += frame_pages(s->bytes);
        if (at > t->checksums || pages > t->pages) return bad_entry(t, i, name, err);
    }
    if (at != t->checksums || pages != t->pages || resident != t->resident) {
        return qdi_damage(err, name, "section table", t->table, "sections do not fill the file");
    }
    return 0;
}

int qdi_frame_table_get(const uint8_t *table, const uint8_t *sums, const frame_tail *t,
                        frame_section *out, qd_str name, qd_err *err)
{
    if (qd_xxh3(table, (size_t)t->sections * FRAME_ENTRY) != t->table_sum) {
        return qdi_damage(err, name, "section table", t->table, "wrong checksum");
    }
    if (qd_xxh3(sums, (size_t)t->pages * 8) != t->checksums_sum) {
        return qdi_damage(err, name, "page checksums", t->checksums, "wrong checksum");
    }
    for (uint32_t i = 0; i < t->sections; i++) {
        const uint8_t *p = table + (size_t)i * FRAME_ENTRY;
        out[i] = (frame_section){.id = qd_get_u32le(p),
                                 .flags = qd_get_u32le(p + 4),
                                 .offset = qd_get_u64le(p + 8),
                                 .bytes = qd_get_u64le(p + 16),
                                 .page = qd_get_u32le(p + 24),
                                 .reserved = qd_get_u32le(p + 28)};
    }
    return check_arrangement(t, out, name, err);
}
