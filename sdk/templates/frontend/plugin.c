/* @NAME@: a front end. It listens on plugin.@NAME@.port of the loopback address; each line of a
 * connection is one call, "search index=books q=stones": an action of the REST API (`qd api` lists
 * them) and its parameters. "set books 1 title=stones year=1987" and "show books 1" write and read
 * a document as typed values, without JSON. The answer is a line with the status, the body, and an
 * empty line. Put your own protocol into serve(). */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <quidditch/documents.h>
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, PARAMS_MAX = 32 };

static const qd_svc_mem *mem;
static const qd_svc_err *errs;
static const qd_svc_conf *confs;
static const qd_svc_action *actions;
static const qd_svc_documents *documents;

struct qd_frontend {
    qd_self *self;
    pthread_t thread;
    pthread_mutex_t lock; /* over the rest; wake: a call has ended */
    pthread_cond_t wake;
    int listener, client; /* client: -1 between connections */
    int draining, ended, status;
    char address[64];
};

/* --- calls --- */

static void send_all(int fd, const void *data, size_t len)
{
    const char *p = (const char *)data;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0) return; /* the client is gone: the next read tells */
        p += n;
        len -= (size_t)n;
    }
}

/* A piece of the answer. [any] */
static int32_t on_answer(qd_action_call *call, int32_t status, uint32_t format,
                         const qd_slice *piece)
{
    qd_frontend *f = (qd_frontend *)call->user;
    char line[32];
    (void)format;
    if (!f->status) send_all(f->client, line, (size_t)snprintf(line, sizeof line, "%d\n", status));
    f->status = status;
    send_all(f->client, piece->data, piece->len);
    return 0;
}

static void on_done(qd_op *op, int32_t rc)
{
    qd_frontend *f = (qd_frontend *)op->user;
    (void)rc;
    pthread_mutex_lock(&f->lock);
    f->ended = 1;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

/* The next word of a line, cut off in place; NULL at its end. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \r");
    size_t n = strcspn(word, " \r");
    if (n == 0) return NULL;
    *rest = word + n + (word[n] != 0);
    word[n] = 0;
    return word;
}

/* Until the call that rc says was taken has ended; otherwise tells why it was not. */
static void wait_for(qd_frontend *f, int32_t rc, const qd_err *err)
{
    pthread_mutex_lock(&f->lock);
    while (rc == 0 && !f->ended) pthread_cond_wait(&f->wake, &f->lock);
    pthread_mutex_unlock(&f->lock);
    if (rc == 0) return;
    qd_str why = err ? errs->reason(err) : QD_STR("no memory");
    send_all(f->client, "400\n", 4);
    send_all(f->client, why.p, why.n);
}

/* --- documents --- */

/* A number where the text is one, a string otherwise. */
static qd_docs_value value_of(const char *name, const char *text)
{
    qd_docs_value v;
    char *end;
    memset(&v, 0, sizeof v);
    v.name = qd_plug_str(name);
    v.text = qd_plug_str(text);
    errno = 0;
    v.integer = strtoll(text, &end, 10);
    v.type = *text && !*end && !errno ? QD_DOCS_INT : QD_DOCS_STRING;
    return v;
}

static void print_value(qd_frontend *f, const qd_docs_value *v)
{
    static const char *const words[] = {"", "{", "}", "[", "]", "null"};
    qd_str text = v->text; /* of a string, and of a number as it is stored */
    if (v->type <= QD_DOCS_NULL) text = qd_plug_str(words[v->type]);
    if (v->type == QD_DOCS_BOOL) text = v->integer ? QD_STR("true") : QD_STR("false");
    send_all(f->client, "\n", 1);
    send_all(f->client, v->name.p, v->name.n);
    if (v->name.n) send_all(f->client, "=", 1);
    send_all(f->client, text.p, text.n);
}

static void print_error(qd_frontend *f, const qd_docs_error *e)
{
    send_all(f->client, e->type.p, e->type.n);
    send_all(f->client, ": ", 2);
    send_all(f->client, e->reason.p, e->reason.n);
}

static void print_result(qd_frontend *f, const qd_docs_call *call)
{
    const qd_docs_result *r = documents->result(call, 0);
    const qd_docs_error *error = r ? r->error : call->error;
    qd_docs_cursor *cursor = NULL;
    qd_docs_value v;
    char line[64];
    int n = snprintf(line, sizeof line, "%d\n", r ? r->status : call->status);
    send_all(f->client, line, (size_t)n);
    if (error) print_error(f, error);
    if (error || !r) return;
    n = snprintf(line, sizeof line, "version %lld", (long long)r->version);
    send_all(f->client, line, (size_t)n);
    if (!r->has_values || documents->open(call, 0, &cursor, NULL)) return;
    while (documents->next(cursor, &v, NULL) == 0 && v.type != QD_DOCS_END) print_value(f, &v);
    documents->close(cursor);
}

static void run_documents(qd_frontend *f, qd_docs_call *call)
{
    qd_err *err = errs->make(f->self);
    call->op.done = on_done;
    call->op.user = f;
    call->struct_size = sizeof *call;
    call->n = 1;
    call->origin.remote = QD_STR("127.0.0.1");
    f->ended = 0;
    int32_t rc =
        call->writes ? documents->write(f->self, call, err) : documents->read(f->self, call, err);
    wait_for(f, rc, err);
    if (rc == 0) {
        print_result(f, call);
        documents->release(call);
    }
    errs->free(err);
    send_all(f->client, "\n\n", 2);
}

static void set_document(qd_frontend *f, char *line)
{
    qd_docs_value values[PARAMS_MAX];
    qd_docs_write w;
    qd_docs_call call;
    char *word;
    memset(&w, 0, sizeof w);
    memset(&call, 0, sizeof call);
    w.op = QD_DOCS_INDEX;
    w.index = qd_plug_str(next_word(&line));
    w.id = qd_plug_str(next_word(&line));
    w.values = values;
    while (w.nvalues < PARAMS_MAX && (word = next_word(&line)) != NULL) {
        char *eq = strchr(word, '=');
        if (!eq) continue;
        *eq = 0;
        values[w.nvalues++] = value_of(word, eq + 1);
    }
    call.writes = &w;
    call.item_size = sizeof w;
    run_documents(f, &call);
}

static void show_document(qd_frontend *f, char *line)
{
    qd_docs_read r;
    qd_docs_call call;
    memset(&r, 0, sizeof r);
    memset(&call, 0, sizeof call);
    r.index = qd_plug_str(next_word(&line));
    r.id = qd_plug_str(next_word(&line));
    call.reads = &r;
    call.item_size = sizeof r;
    run_documents(f, &call);
}

/* --- lines --- */

/* One line: an action and its parameters, or a document. */
static void serve(qd_frontend *f, char *line)
{
    qd_pair params[PARAMS_MAX];
    char *action = next_word(&line), *word;
    qd_action_call call;
    if (!action) return;
    if (strcmp(action, "set") == 0) {
        set_document(f, line);
        return;
    }
    if (strcmp(action, "show") == 0) {
        show_document(f, line);
        return;
    }
    memset(&call, 0, sizeof call);
    while (call.nparams < PARAMS_MAX && (word = next_word(&line)) != NULL) {
        char *eq = strchr(word, '=');
        if (!eq) continue;
        *eq = 0;
        params[call.nparams].key = qd_plug_str(word);
        params[call.nparams++].value = qd_plug_str(eq + 1);
    }
    call.op.done = on_done;
    call.op.user = call.user = f;
    call.action = qd_plug_str(action);
    call.params = params;
    call.format = QD_FORMAT_NONE;
    call.accept = QD_FORMAT_JSON;
    call.origin.remote = QD_STR("127.0.0.1");
    call.answer = on_answer;
    f->ended = f->status = 0;
    qd_err *err = errs->make(f->self);
    int32_t rc = actions->submit(f->self, &call, err);
    wait_for(f, rc, err);
    errs->free(err);
    send_all(f->client, "\n\n", 2);
}

static void serve_client(qd_frontend *f)
{
    char line[LINE_MAX_BYTES + 1];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(f->client, line + n, LINE_MAX_BYTES - n, 0);
        if (got <= 0) return;
        n += (size_t)got;
        char *end;
        while ((end = (char *)memchr(line, '\n', n)) != NULL) {
            size_t used = (size_t)(end - line) + 1;
            *end = 0;
            serve(f, line);
            memmove(line, line + used, n - used);
            n -= used;
        }
        if (n == LINE_MAX_BYTES) return;
    }
}

static void *accept_clients(void *arg)
{
    qd_frontend *f = (qd_frontend *)arg;
    for (;;) {
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0) return NULL; /* drain has shut the listener down */
        pthread_mutex_lock(&f->lock);
        int draining = f->draining;
        if (!draining) f->client = fd;
        pthread_mutex_unlock(&f->lock);
        if (!draining) serve_client(f);
        pthread_mutex_lock(&f->lock);
        f->client = -1;
        pthread_mutex_unlock(&f->lock);
        close(fd);
    }
}

/* --- the front end --- */

static int32_t listen_at(qd_frontend *f, uint16_t port, qd_err *err)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int one = 1;
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->listener >= 0) setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (f->listener < 0 || bind(f->listener, (struct sockaddr *)&at, sizeof at) ||
        listen(f->listener, 64) || getsockname(f->listener, (struct sockaddr *)&at, &len))
        return qd_plug_fail(errs, err, QD_E_IO, "@NAME@: cannot listen on port %u", port);
    snprintf(f->address, sizeof f->address, "127.0.0.1:%u", ntohs(at.sin_port));
    return 0;
}

static int32_t open_frontend(qd_self *self, const qd_frontend_config *config, qd_frontend **out,
                             qd_err *err)
{
    int64_t port = 0;
    (void)config; /* its settings come by the schema below */
    int32_t rc = confs->i64(self, "port", &port);
    qd_frontend *f = rc ? NULL : (qd_frontend *)mem->calloc(self, sizeof *f);
    if (!f) return rc ? rc : QD_E_NOMEM;
    f->self = self;
    f->client = -1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    rc = listen_at(f, (uint16_t)port, err);
    if (rc == 0 && pthread_create(&f->thread, NULL, accept_clients, f))
        rc = qd_plug_fail(errs, err, QD_E_NOMEM, "@NAME@: no thread");
    if (rc) {
        if (f->listener >= 0) close(f->listener);
        mem->free(f);
        return rc;
    }
    *out = f;
    return 0;
}

static qd_str address(qd_frontend *f)
{
    return qd_plug_str(f->address);
}

/* Wakes accept, and the read of a client that says nothing; a call under way goes on. */
static void drain(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&f->lock);
    f->draining = 1;
    if (f->client >= 0) shutdown(f->client, SHUT_RD);
    pthread_mutex_unlock(&f->lock);
    shutdown(f->listener, SHUT_RDWR);
    done(arg);
}

static void close_frontend(qd_frontend *f, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&f->lock);
    if (f->client >= 0) shutdown(f->client, SHUT_RDWR);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    close(f->listener);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    mem->free(f);
    done(arg);
}

static const qd_frontend_vtable vtable = {QD_VTABLE(qd_frontend_vtable, FRONTEND, 0), open_frontend,
                                          address, drain, close_frontend};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    confs = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    actions = (const qd_svc_action *)host->service(self, QD_SERVICE_ACTION, 0);
    documents = (const qd_svc_documents *)host->service(self, QD_SERVICE_DOCUMENTS, 1);
    if (!mem || !errs || !confs || !actions || !documents)
        return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_FRONTEND, "@NAME@", &vtable, err);
}

static const qd_plugin_conf conf[] = {
    {.key = "port",
     .type = QD_PCONF_INT,
     .value = "0",
     .min = 0,
     .max = 65535,
     .help = "Port to listen on; 0: any that is free, told in the log."},
    {.key = NULL}};

static const qd_plugin plugin = {QD_PLUGIN_HEAD(QD_PLUGIN_SPAWNS_THREADS), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(conf, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", QD_PLUGIN_SPAWNS_THREADS, 1, QD_NOTE_FOR(FRONTEND))
