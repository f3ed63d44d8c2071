/*
 * kube_replay.c: see kube_replay.h. A file is a row of blocks: a request line, its body, "=
 * STATUS", the answer.
 */
#include "lib/kube_replay.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct block {
    char *request, *body, *answer;
    int status;
    char *comment; /* before it, newlines included */
} block;

typedef struct play {
    const kube_player *player;
    json_t *saved;      /* name: {rv, uid, continue} */
    json_t *rvs, *uids; /* seen: their names */
} play;

static char *copy_of(const char *s, size_t n)
{
    char *p = malloc(n + 1);
    if (!p) exit(2);
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

static void join(char **to, const char *s)
{
    size_t a = *to ? strlen(*to) : 0, b = strlen(s);
    *to = realloc(*to, a + b + 2);
    if (!*to) exit(2);
    memcpy(*to + a, s, b);
    memcpy(*to + a + b, "\n", 2);
}

/* --- the file --- */

static size_t read_blocks(const char *file, block **out)
{
    FILE *f = fopen(file, "r");
    char *line = NULL;
    size_t room = 0, n = 0;
    enum { BEFORE, BODY, ANSWER } at = BEFORE;
    *out = NULL;
    if (!f) return 0;
    char *comment = NULL;
    for (ssize_t k; (k = getline(&line, &room, f)) >= 0;) {
        if (k && line[k - 1] == '\n') line[k - 1] = 0;
        if (!*line || (*line == '#' && at == BEFORE)) {
            join(&comment, line);
            at = BEFORE;
        } else if (at == BEFORE) {
            *out = realloc(*out, (n + 1) * sizeof **out);
            if (!*out) exit(2);
            (*out)[n++] = (block){.request = copy_of(line, strlen(line)), .comment = comment};
            comment = NULL;
            at = BODY;
        } else if (at == BODY && *line == '=') {
            (*out)[n - 1].status = (int)strtol(line + 1, NULL, 10);
            at = ANSWER;
        } else {
            join(at == BODY ? &(*out)[n - 1].body : &(*out)[n - 1].answer, line);
        }
    }
    free(comment);
    free(line);
    fclose(f);
    return n;
}

/* --- names in place of what differs --- */

static const char *name_of(json_t *seen, const char *prefix, const char *value)
{
    char name[32];
    if (!json_object_get(seen, value)) {
        snprintf(name, sizeof name, "%s%zu", prefix, json_object_size(seen) + 1);
        json_object_set_new(seen, value, json_string(name));
    }
    return json_string_value(json_object_get(seen, value));
}

/* Some checks of the real server run twice. */
static void once(json_t *array)
{
    for (size_t i = json_array_size(array); i-- > 1;)
        if (json_equal(json_array_get(array, i), json_array_get(array, i - 1)))
            json_array_remove(array, i);
}

static void blank(json_t *o, const char *member, const char *with)
{
    const char *s = json_string_value(json_object_get(o, member));
    if (s && *s) json_object_set_new(o, member, json_string(with));
}

static void normalize(play *p, json_t *v, bool list)
{
    size_t i;
    json_t *one;
    const char *key;
    json_array_foreach(v, i, one)
    {
        normalize(p, one, false);
    }
    if (!json_is_object(v)) return;
    json_object_del(v, "managedFields");
    json_object_del(v, "selfLink");
    json_object_del(v, "message");
    blank(v, "creationTimestamp", "TIME");
    blank(v, "deletionTimestamp", "TIME");
    const char *kind = json_string_value(json_object_get(v, "kind"));
    size_t n = kind ? strlen(kind) : 0;
    const char *rv = json_string_value(json_object_get(v, "resourceVersion"));
    if (list) { /* of everything, at that moment */
        blank(v, "resourceVersion", "RV");
        blank(v, "continue", "TOKEN");
    } else if (rv && *rv) {
        json_object_set_new(v, "resourceVersion", json_string(name_of(p->rvs, "rv", rv)));
    }
    const char *uid = json_string_value(json_object_get(v, "uid"));
    if (uid && *uid) json_object_set_new(v, "uid", json_string(name_of(p->uids, "uid", uid)));
    bool is_list = n > 4 && !strcmp(kind + n - 4, "List") && json_object_get(v, "items");
    bool is_status = kind && !strcmp(kind, "Status");
    json_object_foreach(v, key, one)
    {
        normalize(p, one, (is_list || is_status) && !strcmp(key, "metadata"));
        if (!strcmp(key, "causes")) once(one);
    }
}

/* $name.field and $big:N in a text. */
static char *expand(play *p, const char *s)
{
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    if (!f) exit(2);
    for (; *s; s++) {
        char name[64] = "", field[16] = "";
        unsigned big = 0;
        if (sscanf(s, "$big:%u", &big) == 1) {
            for (unsigned i = 0; i < big; i++) fputc('x', f);
            s += 4 + strspn(s + 5, "0123456789");
        } else if (sscanf(s, "$%63[a-z0-9].%15[a-z]", name, field) == 2) {
            const json_t *o = json_object_get(p->saved, name);
            const char *value = json_string_value(json_object_get(o, field));
            fputs(value ? value : "?", f);
            s += strlen(name) + strlen(field) + 1;
        } else {
            fputc(*s, f);
        }
    }
    fclose(f);
    return out;
}

static void save(play *p, const char *name, const json_t *o)
{
    const json_t *meta = json_object_get(o, "metadata");
    json_t *s = json_object();
    json_object_set(s, "rv", json_object_get(meta, "resourceVersion"));
    json_object_set(s, "uid", json_object_get(meta, "uid"));
    json_object_set(s, "continue", json_object_get(meta, "continue"));
    json_object_set(s, "name", json_object_get(meta, "name"));
    json_object_set_new(p->saved, name, s);
}

/* --- one block --- */

typedef struct words {
    char method[16], user[96], type[96], name[96], *target;
    int events;
    bool until;
} words;

/* METHOD TARGET [as USER] [type TYPE] [until] [> NAME]; WATCH N TARGET. */
static void read_request(const char *request, words *w)
{
    char *text = copy_of(request, strlen(request)), *at = NULL;
    *w = (words){.type = "application/json"};
    char *s = strtok_r(text, " ", &at);
    snprintf(w->method, sizeof w->method, "%s", s ? s : "");
    if (!strcmp(w->method, "WATCH")) {
        s = strtok_r(NULL, " ", &at);
        w->events = (int)strtol(s ? s : "1", NULL, 10);
        snprintf(w->method, sizeof w->method, "GET");
    }
    s = strtok_r(NULL, " ", &at);
    w->target = copy_of(s ? s : "", s ? strlen(s) : 0);
    if (!strcmp(w->method, "PATCH"))
        snprintf(w->type, sizeof w->type, "application/merge-patch+json");
    while ((s = strtok_r(NULL, " ", &at))) {
        char *to = !strcmp(s, "as")     ? w->user
                   : !strcmp(s, "type") ? w->type
                   : !strcmp(s, ">")    ? w->name
                                        : NULL;
        w->until |= !strcmp(s, "until");
        if (to && (s = strtok_r(NULL, " ", &at))) snprintf(to, 96, "%s", s);
    }
    free(text);
}

/* The answer as it is compared: a tree, a text, or the events of a watch. */
static json_t *read_answer(play *p, const words *w, kube_answer *a)
{
    json_error_t err;
    json_t *v;
    a->body[a->n] = 0;
    if (w->events && a->status == 200) {
        v = json_array();
        char *at = NULL;
        for (char *s = strtok_r(a->body, "\n", &at); s; s = strtok_r(NULL, "\n", &at)) {
            json_t *e = json_loads(s, 0, &err);
            if ((int)json_array_size(v) < w->events) json_array_append(v, e);
            json_decref(e);
        }
    } else if (!(v = json_loadb(a->body, a->n, JSON_DECODE_ANY, &err))) {
        v = json_string(a->body);
    }
    if (*w->name) save(p, w->name, v);
    normalize(p, v, false);
    return v;
}

static bool as_recorded(const block *b, int status, const json_t *v, FILE *out)
{
    json_error_t err;
    if (b->answer && !strcmp(b->answer, "-\n") && b->status == status) return true;
    json_t *want = json_loads(b->answer ? b->answer : "", JSON_DECODE_ANY, &err);
    bool same = b->status == status && want && json_equal(want, (json_t *)v);
    if (!same) {
        char *is = json_dumps(v, JSON_SORT_KEYS | JSON_ENCODE_ANY);
        fprintf(out, "# %s\n#   recorded %d %s#   answered %d %s\n", b->request, b->status,
                b->answer ? b->answer : "\n", status, is);
        free(is);
    }
    json_decref(want);
    return same;
}

static void write_answer(block *b, int status, const json_t *v)
{
    b->status = status;
    if (b->answer && !strcmp(b->answer, "-\n")) return;
    free(b->answer);
    b->answer = NULL;
    if (!json_is_array(v)) {
        char *text = json_dumps(v, JSON_SORT_KEYS | JSON_ENCODE_ANY);
        join(&b->answer, text);
        free(text);
        return;
    }
    size_t i;
    json_t *e;
    json_array_foreach(v, i, e)
    {
        char *text = json_dumps(e, JSON_SORT_KEYS), *line = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&line, &n);
        if (!f) exit(2);
        fprintf(f, "%s%s%s", i ? " " : "[", text, i + 1 < json_array_size(v) ? "," : "]");
        fclose(f);
        join(&b->answer, line);
        free(line);
        free(text);
    }
    if (!b->answer) join(&b->answer, "[]");
}

static bool play_block(play *p, block *b, bool record, FILE *out)
{
    words w;
    read_request(b->request, &w);
    if (!strcmp(w.method, "COMPACT")) {
        p->player->compact(p->player->arg);
        free(w.target);
        return true;
    }
    char *target = expand(p, w.target), *body = b->body ? expand(p, b->body) : NULL;
    kube_answer a = {0};
    time_t end = time(NULL) + 60;
    for (;;) {
        a = p->player->ask(p->player->arg, w.user, w.method, target, w.type, body ? body : "",
                           body ? strlen(body) : 0, w.events);
        if (!w.until || a.status == b->status || time(NULL) > end) break;
        free(a.body);
        struct timespec wait = {.tv_nsec = 50000000};
        nanosleep(&wait, NULL);
    }
    json_t *v = read_answer(p, &w, &a);
    bool fine = true;
    if (record)
        write_answer(b, a.status, v);
    else
        fine = as_recorded(b, a.status, v, out);
    json_decref(v);
    free(a.body);
    free(target);
    free(body);
    free(w.target);
    return fine;
}

kube_replay_result kube_replay(const char *file, const kube_player *player, bool record, FILE *out)
{
    kube_replay_result r = {0};
    block *b;
    size_t n = read_blocks(file, &b);
    play p = {
        .player = player, .saved = json_object(), .rvs = json_object(), .uids = json_object()};
    for (size_t i = 0; i < n; i++) {
        r.requests++;
        r.wrong += !play_block(&p, &b[i], record, out);
    }
    FILE *f = record ? fopen(file, "w") : NULL;
    for (size_t i = 0; i < n; i++) {
        if (f)
            fprintf(f, "%s%s\n%s", b[i].comment ? b[i].comment : "", b[i].request,
                    b[i].body ? b[i].body : "");
        if (f && b[i].status) fprintf(f, "= %d\n%s", b[i].status, b[i].answer ? b[i].answer : "");
        free(b[i].comment);
        free(b[i].request);
        free(b[i].body);
        free(b[i].answer);
    }
    if (f) fclose(f);
    free(b);
    json_decref(p.saved);
    json_decref(p.rvs);
    json_decref(p.uids);
    return r;
}
