/*
 * toy_documents.c: a front end that does what a test asks of the service `documents`. A request is
 * lines of words parted by blanks, ended by an empty line; "-" is an empty word, texts are in hex:
 *
 *   write refresh=1 timeout=500 copies=-1 cancel=100     (milliseconds before the cancel)
 *   doc OP INDEX ID [routing=R] [if=SEQ,TERM] [version=N,TYPE] [flags=N]
 *   v TYPE NAME TEXT                                     (of the document above)
 *
 *   read [flags=N] [in=PATTERN] [ex=PATTERN] [cancel=0]
 *   doc INDEX ID [routing=R]
 *
 * The answer: "call STATUS", then a line a document, its values, the causes of its error, and ".".
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <quidditch/documents.h>
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DOCS = 10002, VALUES = 40000, REQUEST_BYTES = 4 << 20 };

static const qd_svc_err *errs;
static const qd_svc_conf *confs;
static const qd_svc_documents *documents;

struct qd_frontend {
    qd_self *self;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int listener, ended, draining;
    char address[64];
};

/* Of one connection after the other; a test has one node a process. */
static qd_docs_write writes[DOCS];
static qd_docs_read reads[DOCS];
static qd_docs_value values[VALUES];
static char request[REQUEST_BYTES + 1];

/* --- words --- */

static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    size_t n = strcspn(word, " ");
    if (n == 0) return NULL;
    *rest = word + n + (word[n] != 0);
    word[n] = 0;
    return word;
}

static qd_str text_of(char *word)
{
    return word && strcmp(word, "-") != 0 ? qd_plug_str(word) : qd_plug_str("");
}

/* Decoded in place. */
static qd_str hex_of(char *word)
{
    qd_str s = text_of(word);
    for (size_t i = 0; i < s.n / 2; i++) {
        unsigned byte = 0;
        sscanf(word + 2 * i, "%2x", &byte);
        word[i] = (char)byte;
    }
    s.n /= 2;
    return s;
}

static int is_option(const char *word, const char *key, char **value)
{
    size_t n = strlen(key);
    if (strncmp(word, key, n) != 0 || word[n] != '=') return 0;
    *value = (char *)(uintptr_t)(word + n + 1);
    return 1;
}

/* --- answers --- */

static void print_text(FILE *out, qd_str s)
{
    if (!s.n) fputc('-', out);
    for (size_t i = 0; i < s.n; i++) fprintf(out, "%02x", (unsigned char)s.p[i]);
}

static void print_values(FILE *out, const qd_docs_call *call, uint32_t i)
{
    qd_docs_cursor *cursor;
    qd_docs_value v;
    if (documents->open(call, i, &cursor, NULL)) return;
    int32_t rc;
    while ((rc = documents->next(cursor, &v, NULL)) == 0 && v.type != QD_DOCS_END) {
        fprintf(out, "v %u ", v.type);
        print_text(out, v.name);
        fputc(' ', out);
        print_text(out, v.text);
        fprintf(out, " %" PRId64 " %.17g\n", v.integer, v.number);
    }
    if (rc) fprintf(out, "broken %d\n", rc);
    documents->close(cursor);
}

static void print_error(FILE *out, const qd_docs_error *e)
{
    for (; e; e = e->caused_by)
        fprintf(out, "error %.*s: %.*s\n", (int)e->type.n, e->type.p, (int)e->reason.n,
                e->reason.p);
}

static void print_results(FILE *out, const qd_docs_call *call)
{
    const qd_docs_result *r;
    fprintf(out, "call %d\n", call->status);
    print_error(out, call->error);
    for (uint32_t i = 0; (r = documents->result(call, i)) != NULL; i++) {
        fprintf(out, "doc %d %u %.*s ", r->status, r->outcome, r->index.n ? (int)r->index.n : 1,
                r->index.n ? r->index.p : "-");
        print_text(out, r->id);
        fputc(' ', out);
        print_text(out, r->routing);
        fprintf(out, " %" PRId64 " %" PRId64 " %" PRId64 " %u %u %u %u\n", r->seq_no,
                r->primary_term, r->version, r->copies, r->copies_good, r->copies_failed,
                r->forced_refresh);
        print_error(out, r->error);
        print_values(out, call, i);
    }
}

/* --- calls --- */

static void on_done(qd_op *op, int32_t rc)
{
    qd_frontend *f = (qd_frontend *)op->user;
    pthread_mutex_lock(&f->lock);
    f->ended = rc ? -1 : 1;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

/* Waits for the end; with cancel_ms of 0 or more it is cancelled then. */
static void wait_for(qd_frontend *f, qd_docs_call *call, int cancel_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += cancel_ms / 1000;
    until.tv_nsec += cancel_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&f->lock);
    while (cancel_ms >= 0 && !f->ended)
        if (pthread_cond_timedwait(&f->wake, &f->lock, &until)) break;
    int ended = f->ended;
    pthread_mutex_unlock(&f->lock);
    if (cancel_ms >= 0 && !ended) documents->cancel(call);
    pthread_mutex_lock(&f->lock);
    while (!f->ended) pthread_cond_wait(&f->wake, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void run(qd_frontend *f, qd_docs_call *call, int cancel_ms, FILE *out)
{
    qd_err *err = errs->make(f->self);
    call->op.done = on_done;
    call->op.user = f;
    call->struct_size = sizeof *call;
    call->item_size = call->writes ? sizeof *writes : sizeof *reads;
    call->origin.remote = qd_plug_str("127.0.0.1");
    f->ended = 0;
    int32_t rc =
        call->writes ? documents->write(f->self, call, err) : documents->read(f->self, call, err);
    if (rc) {
        qd_str why = errs->reason(err);
        fprintf(out, "refused %d %.*s\n", rc, (int)why.n, why.p);
    } else {
        wait_for(f, call, cancel_ms);
        if (f->ended < 0) fprintf(out, "done failed\n");
        print_results(out, call);
        documents->release(call);
    }
    errs->free(err);
}

static void write_option(qd_docs_write *w, char *word)
{
    char *v;
    if (is_option(word, "routing", &v)) w->routing = text_of(v);
    if (is_option(word, "flags", &v)) w->flags |= (uint32_t)atoi(v);
    if (is_option(word, "if", &v)) {
        w->flags |= QD_DOCS_IF;
        sscanf(v, "%" SCNd64 ",%" SCNd64, &w->if_seq_no, &w->if_primary_term);
    }
    if (is_option(word, "version", &v)) {
        w->flags |= QD_DOCS_VERSION;
        sscanf(v, "%" SCNd64 ",%" SCNu32, &w->version, &w->version_type);
    }
}

static void value_line(qd_docs_value *v, char *line)
{
    char *type = next_word(&line), *name = next_word(&line), *text = next_word(&line);
    memset(v, 0, sizeof *v);
    v->type = (uint32_t)atoi(type ? type : "0");
    v->name = hex_of(name);
    v->text = hex_of(text);
    char number[64];
    snprintf(number, sizeof number, "%.*s", (int)v->text.n, v->text.p ? v->text.p : "");
    if (v->type == QD_DOCS_DOUBLE) v->number = strtod(number, NULL);
    v->integer =
        v->type == QD_DOCS_UINT ? (int64_t)strtoull(number, NULL, 10) : strtoll(number, NULL, 10);
}

static void doc_line(qd_docs_call *call, int write, char *line, qd_docs_value *first)
{
    char *word;
    qd_docs_write *w = &writes[call->n];
    qd_docs_read *r = &reads[call->n];
    if (call->n == DOCS) return;
    memset(w, 0, sizeof *w);
    memset(r, 0, sizeof *r);
    call->n++;
    if (write) w->op = (uint32_t)atoi(next_word(&line));
    w->index = r->index = text_of(next_word(&line));
    w->id = r->id = hex_of(next_word(&line));
    w->values = first;
    while ((word = next_word(&line)) != NULL) {
        write_option(w, word);
        r->routing = w->routing;
    }
}

static void call_line(qd_docs_call *call, char *line, int *cancel_ms, qd_str patterns[2])
{
    char *word, *v;
    while ((word = next_word(&line)) != NULL) {
        if (is_option(word, "refresh", &v)) call->refresh = (uint32_t)atoi(v);
        if (is_option(word, "timeout", &v)) call->timeout_ms = atoi(v);
        if (is_option(word, "copies", &v)) call->active_copies = atoi(v);
        if (is_option(word, "flags", &v)) call->flags = (uint32_t)atoi(v);
        if (is_option(word, "cancel", &v)) *cancel_ms = atoi(v);
        if (is_option(word, "in", &v)) patterns[0] = text_of(v), call->nincludes = 1;
        if (is_option(word, "ex", &v)) patterns[1] = text_of(v), call->nexcludes = 1;
    }
    call->includes = &patterns[0];
    call->excludes = &patterns[1];
}

static void serve(qd_frontend *f, char *text, FILE *out)
{
    qd_docs_call call;
    qd_str patterns[2];
    int cancel_ms = -1, write = strncmp(text, "write", 5) == 0;
    uint32_t nvalues = 0;
    memset(&call, 0, sizeof call);
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        char *word = next_word(&line);
        if (!word) continue;
        if (strcmp(word, "write") == 0 || strcmp(word, "read") == 0) {
            call_line(&call, line, &cancel_ms, patterns);
        } else if (strcmp(word, "doc") == 0) {
            doc_line(&call, write, line, &values[nvalues]);
        } else if (nvalues < VALUES && call.n) {
            value_line(&values[nvalues++], line);
            writes[call.n - 1].nvalues++;
        }
    }
    if (write)
        call.writes = writes;
    else
        call.reads = reads;
    run(f, &call, cancel_ms, out);
    fprintf(out, ".\n");
    fflush(out);
}

static void serve_client(qd_frontend *f, int fd)
{
    size_t n = 0;
    ssize_t got;
    FILE *out = fdopen(dup(fd), "w");
    while (out && n < REQUEST_BYTES && (got = recv(fd, request + n, REQUEST_BYTES - n, 0)) > 0) {
        n += (size_t)got;
        request[n] = 0;
        char *end = n >= 2
                        ? strstr(request + (n > (size_t)got + 1 ? n - (size_t)got - 1 : 0), "\n\n")
                        : NULL;
        if (!end) continue;
        *end = 0;
        serve(f, request, out);
        n = 0;
    }
    if (out) fclose(out);
}

static void *accept_clients(void *arg)
{
    qd_frontend *f = (qd_frontend *)arg;
    int fd;
    while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
        struct timeval second = {20, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
        serve_client(f, fd);
        close(fd);
    }
    return NULL;
}

/* --- the front end --- */

static int32_t open_frontend(qd_self *self, const qd_frontend_config *config, qd_frontend **out,
                             qd_err *err)
{
    static qd_frontend f;
    struct sockaddr_in at;
    int64_t port = 0;
    int one = 1;
    (void)config;
    confs->i64(self, "port", &port);
    f.self = self;
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.wake, NULL);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(f.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(f.listener, (struct sockaddr *)&at, sizeof at) || listen(f.listener, 16))
        return qd_plug_fail(errs, err, QD_E_IO, "toy-documents: cannot listen on port %d",
                            (int)port);
    snprintf(f.address, sizeof f.address, "127.0.0.1:%d", (int)port);
    if (pthread_create(&f.thread, NULL, accept_clients, &f)) return QD_E_NOMEM;
    *out = &f;
    return 0;
}

static qd_str address(qd_frontend *f)
{
    return qd_plug_str(f->address);
}

static void drain(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    f->draining = 1;
    shutdown(f->listener, SHUT_RDWR);
    done(arg);
}

static void close_frontend(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    pthread_join(f->thread, NULL);
    close(f->listener);
    done(arg);
}

static const qd_frontend_vtable vtable = {QD_VTABLE(qd_frontend_vtable, FRONTEND, 0), open_frontend,
                                          address, drain, close_frontend};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    confs = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    documents = (const qd_svc_documents *)host->service(self, QD_SERVICE_DOCUMENTS, 1);
    return host->provide(self, QD_KIND_FRONTEND, "toy-documents", &vtable, err);
}

static const qd_plugin_conf conf[] = {
    {.key = "port", .type = QD_PCONF_INT, .value = "0", .max = 65535, .help = "Port."},
    {.key = NULL}};

static const qd_plugin plugin = {QD_PLUGIN_HEAD(QD_PLUGIN_SPAWNS_THREADS),
                                 "toy-documents",
                                 "0.1.0",
                                 "",
                                 QD_BUILD_ID,
                                 NULL,
                                 conf,
                                 init,
                                 NULL,
                                 NULL};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-documents", "0.1.0", QD_PLUGIN_SPAWNS_THREADS, 1, QD_NOTE_FOR(FRONTEND))
