/* speakers.c: the control nodes that talk to the API, as the root names them; see root.h. */
#include "fields.h"
#include "root.h"
#include "root_int.h"
#include <stdio.h>

static uint32_t place_of(const ck_root *r, uint64_t id)
{
    uint32_t i = 0;
    while (i < r->nspeakers && r->speakers[i].id != id) i++;
    return i;
}

int ck_root_speaks(const ck_root *r, uint64_t id)
{
    return r->nspeakers == 0 || place_of(r, id) < r->nspeakers;
}

void ck_root_speaker_drop(ck_root *r, uint64_t id)
{
    uint32_t i = place_of(r, id);
    if (i == r->nspeakers) return;
    memmove(r->speakers + i, r->speakers + i + 1, (--r->nspeakers - i) * sizeof *r->speakers);
    memset(r->speakers + r->nspeakers, 0, sizeof *r->speakers);
}

void ck_root_speaker_add(ck_root *r, uint64_t id, const char *name, const char *address,
                         uint64_t instead)
{
    if (place_of(r, id) < r->nspeakers) return;
    for (uint32_t i = r->nspeakers; i-- > 0;) /* what it was in a life before */
        if (strcmp(r->speakers[i].name, name) == 0 && strcmp(r->speakers[i].address, address) == 0)
            ck_root_speaker_drop(r, r->speakers[i].id);
    if (r->nspeakers == CK_SPEAKERS) ck_root_speaker_drop(r, instead);
    if (r->nspeakers == CK_SPEAKERS) ck_root_speaker_drop(r, r->speakers[CK_SPEAKERS - 1].id);
    ck_speaker *s = &r->speakers[r->nspeakers++];
    s->id = id;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->address, sizeof s->address, "%s", address);
}

/* --- as JSON --- */

int ck_speakers_write(json_t *spec, const ck_root *r)
{
    json_t *list = r->nspeakers ? json_array() : NULL;
    int good = 1;
    for (uint32_t i = 0; list && i < r->nspeakers; i++) {
        const ck_speaker *s = &r->speakers[i];
        json_t *o = json_object();
        good = good && ck_set_number(o, "id", s->id) && ck_set(o, "name", json_string(s->name)) &&
               ck_set(o, "address", json_string(s->address));
        good = json_array_append_new(list, o) == 0 && good;
    }
    return r->nspeakers == 0 || (ck_set(spec, "speakers", list) && good);
}

void ck_speakers_read(ck_fields *f, ck_root *r)
{
    const json_t *list = f->rc ? NULL : json_object_get(f->object, "speakers");
    size_t n = json_array_size(list);
    if (!list || json_is_null(list)) return;
    if (!json_is_array(list) || n > CK_SPEAKERS)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.speakers is not a list of at most %d nodes",
                         CK_SPEAKERS);
    for (size_t i = 0; i < n && f->rc == 0; i++) {
        ck_speaker *s = &r->speakers[i];
        ck_fields one = {json_array_get(list, i), "spec.speakers[]", f->why, 0};
        s->id = ck_field_number(&one, "id");
        ck_field_copy(&one, "name", s->name, CK_TEXT, 1);
        ck_field_copy(&one, "address", s->address, CK_TEXT, 1);
        if (one.rc == 0 && s->id == 0)
            one.rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.speakers[].id is 0, nobody's");
        f->rc = one.rc;
        r->nspeakers = (uint32_t)i + 1;
    }
}
