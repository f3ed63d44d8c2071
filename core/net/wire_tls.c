/*
 * wire_tls.c: TLS on a link: OpenSSL over two memory buffers, so that it sees no socket. Both sides
 * show certificates. Names are asked for by the user of the link (qd_wire_named), as a node name is
 * known only after the first frame.
 */
#include "base/log.h"
#include "net/wire_int.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define PLAIN_BYTES 65536u

struct tls_files {
    SSL_CTX *ctx;
    _Atomic uint32_t refs;
};

struct tls_link {
    SSL *ssl;
    BIO *in, *out; /* bytes from and for the socket; owned by ssl */
    qd_buf cipher; /* of the user's write under way */
    bool done;     /* the handshake */
};

/* The oldest error of OpenSSL's on this thread, forgetting the others. */
static const char *ssl_text(char out[200])
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    snprintf(out, 200, "%s", reason ? reason : "unknown TLS error");
    ERR_clear_error();
    return out;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

/* verification_mode none: whatever is shown is taken. */
static int take_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static int fail_file(qd_err *err, const char *setting, const char *path)
{
    char text[200];
    unsigned long e = ERR_peek_error();
    int lib = ERR_GET_LIB(e), reason = ERR_GET_REASON(e);
    const char *why = ssl_text(text);
    if (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE)
        why = "there is nothing in PEM form in it";
    else if (lib == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH)
        why = "it is not the key of security.transport.ssl.certificate";
    else if (strcmp(setting, "key") == 0 && reason == ERR_R_INTERRUPTED_OR_CANCELLED)
        why = "it is encrypted; give one without a passphrase, readable by this node only";
    return qd_err_set(err, QD_E_CONFIG, "security.transport.ssl.%s: [%s] cannot be used: %s",
                      setting, path, why);
}

/* A certificate out of its time is refused by all others: their lines do not reach who runs this.
 */
static void check_time(SSL_CTX *ctx, const char *path)
{
    const X509 *x = SSL_CTX_get0_certificate(ctx);
    bool over = x && X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
    bool early = x && X509_cmp_current_time(X509_get0_notBefore(x)) > 0;
    if (over || early)
        qd_log_error(WIRE_LOG,
                     "security.transport.ssl.certificate: [%s] %s: other nodes refuse it; exchange "
                     "it and send SIGHUP, or mend the clock",
                     path, over ? "has expired" : "is not valid yet");
}

static int load(SSL_CTX *ctx, const qd_wire_tls *tls, qd_err *err)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->certificate) != 1)
        return fail_file(err, "certificate", tls->certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) != 1)
        return fail_file(err, "key", tls->key);
    if (SSL_CTX_check_private_key(ctx) != 1) return fail_file(err, "key", tls->key);
    for (uint32_t i = 0; i < tls->nauthorities; i++)
        if (SSL_CTX_load_verify_locations(ctx, tls->authorities[i], NULL) != 1)
            return fail_file(err, "certificate_authorities", tls->authorities[i]);
    if (!tls->nauthorities) SSL_CTX_set_default_verify_paths(ctx);
    if (tls->verify == QD_WIRE_VERIFY_NONE)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
    else
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

void qdi_tls_files_look(const qd_wire_tls *tls, tls_files *f)
{
    check_time(f->ctx, tls->certificate);
}

int qdi_tls_files_open(const qd_wire_tls *tls, tls_files **out, qd_err *err)
{
    tls_files *f = qd_calloc(NULL, sizeof *f);
    if (!f) return qd_err_nomem(err, "TLS");
    ERR_clear_error();
    f->ctx = SSL_CTX_new(TLS_method());
    atomic_store(&f->refs, 1);
    int rc = f->ctx ? load(f->ctx, tls, err) : qd_err_nomem(err, "TLS");
    if (rc) {
        qdi_tls_files_unref(f);
        return rc;
    }
    *out = f;
    return 0;
}

tls_files *qdi_tls_files_ref(tls_files *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void qdi_tls_files_unref(tls_files *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    SSL_CTX_free(f->ctx);
    qd_free(f);
}

/* What TLS has for the socket goes there. */
static bool send_own(tcp_link *l)
{
    char bytes[16384];
    int n;
    while ((n = BIO_read(l->tls->out, bytes, sizeof bytes)) > 0)
        if (!qdi_link_send(l, bytes, (size_t)n)) return false;
    return true;
}

/* What to do about a certificate that is not accepted: theirs here, or this node's there. */
static const char *advice(long verify)
{
    if (verify == X509_V_ERR_CERT_HAS_EXPIRED || verify == X509_V_ERR_CERT_NOT_YET_VALID)
        return "give it one that is within its time, or set the clock right";
    return "security.transport.ssl.certificate_authorities of the node that refuses has to hold "
           "who signed it";
}

/* Ends the link for what OpenSSL says; an alert on its way to the peer is sent before. */
static void broken(tcp_link *l, const char *doing)
{
    char text[200], reason[256];
    long verify = SSL_get_verify_result(l->tls->ssl);
    unsigned long e = ERR_peek_error();
    int code = ERR_GET_REASON(e);
    bool theirs = code >= SSL_AD_REASON_OFFSET && code < SSL_AD_REASON_OFFSET + 256;
    bool certificate = verify != X509_V_OK || code == SSL_R_CERTIFICATE_VERIFY_FAILED ||
                       code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE ||
                       (theirs && (code - SSL_AD_REASON_OFFSET == SSL_AD_BAD_CERTIFICATE ||
                                   code - SSL_AD_REASON_OFFSET == SSL_AD_UNKNOWN_CA ||
                                   code - SSL_AD_REASON_OFFSET == SSL_AD_CERTIFICATE_EXPIRED ||
                                   code - SSL_AD_REASON_OFFSET == SSL_AD_CERTIFICATE_UNKNOWN ||
                                   code - SSL_AD_REASON_OFFSET == SSL_AD_UNSUPPORTED_CERTIFICATE ||
                                   code - SSL_AD_REASON_OFFSET == SSL_AD_CERTIFICATE_REQUIRED));
    ssl_text(text);
    if (verify != X509_V_OK)
        snprintf(reason, sizeof reason, "its certificate is not accepted: %.100s; %s",
                 X509_verify_cert_error_string(verify), advice(verify));
    else if (theirs && certificate)
        snprintf(reason, sizeof reason,
                 "it does not accept the certificate of this node: %.80s; %s", text,
                 advice(code - SSL_AD_REASON_OFFSET == SSL_AD_CERTIFICATE_EXPIRED
                            ? X509_V_ERR_CERT_HAS_EXPIRED
                            : X509_V_OK));
    else
        snprintf(reason, sizeof reason, "%s: %s", doing, text);
    if (!theirs && !send_own(l)) return;
    qdi_link_end(l, certificate ? QD_WIRE_CERTIFICATE : QD_WIRE_BROKEN, reason);
}

int qdi_tls_begin(tcp_link *l, tls_files *f)
{
    tls_link *t = qd_calloc(l->wire->c.account, sizeof *t);
    if (!t) return QD_E_NOMEM;
    qd_buf_init(&t->cipher, l->wire->c.account, (size_t)16 << 20);
    t->ssl = SSL_new(f->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        SSL_free(t->ssl);
        BIO_free(t->in);
        BIO_free(t->out);
        qd_free(t);
        return QD_E_NOMEM;
    }
    BIO_set_mem_eof_return(t->in, -1);
    BIO_set_mem_eof_return(t->out, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    l->tls = t;
    if (!l->dialed) {
        SSL_set_accept_state(t->ssl);
        return 0;
    }
    SSL_set_connect_state(t->ssl);
    if (!qd_addr_parse(qd_str_c(l->host), 0, &(qd_addr){0}))
        (void)SSL_set_tlsext_host_name(t->ssl, l->host);
    (void)SSL_do_handshake(t->ssl);
    (void)send_own(l);
    return 0;
}

/* Goes on with the handshake; false while it is not done or the link is ending. */
static bool handshake(tcp_link *l)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(l->tls->ssl);
    if (rc != 1 && SSL_get_error(l->tls->ssl, rc) != SSL_ERROR_WANT_READ) {
        broken(l, "the TLS handshake failed");
        return false;
    }
    if (!send_own(l)) return false;
    if (rc != 1) return false;
    l->tls->done = true;
    qdi_link_opened(l);
    return l->state == LINK_OPEN;
}

void qdi_tls_feed(tcp_link *l, const uint8_t *p, size_t n)
{
    uint8_t plain[16384];
    if (BIO_write(l->tls->in, p, (int)n) != (int)n) {
        qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
        return;
    }
    if (!l->tls->done && !handshake(l)) return;
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(l->tls->ssl, plain, sizeof plain);
        if (got > 0) {
            if (!qdi_link_data(l, plain, (size_t)got)) return;
            continue;
        }
        int e = SSL_get_error(l->tls->ssl, got);
        if (e == SSL_ERROR_WANT_READ) {
            (void)send_own(l);
        } else if (e == SSL_ERROR_ZERO_RETURN) {
            qdi_link_end(l, QD_WIRE_CLOSED, "closed by the other side");
        } else {
            broken(l, "TLS failed");
        }
        return;
    }
}

int qdi_tls_write(tcp_link *l, const qd_iovec *pieces, uint32_t n)
{
    tls_link *t = l->tls;
    if (l->state != LINK_OPEN || !t->done) return QD_E_CLOSED;
    qd_buf_reset(&t->cipher);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = pieces[i].data;
        for (size_t at = 0; at < pieces[i].len;) {
            size_t left = pieces[i].len - at;
            ERR_clear_error();
            int put = SSL_write(t->ssl, p + at, (int)(left < PLAIN_BYTES ? left : PLAIN_BYTES));
            if (put <= 0) {
                broken(l, "TLS failed");
                return QD_E_CLOSED;
            }
            at += (size_t)put;
        }
    }
    char *bytes;
    long have = BIO_get_mem_data(t->out, &bytes);
    if (have <= 0 || qd_buf_add(&t->cipher, bytes, (size_t)have)) {
        qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
        return QD_E_CLOSED;
    }
    (void)BIO_reset(t->out);
    qd_iovec all = {t->cipher.p, t->cipher.n};
    return qdi_link_write(l, &all, 1);
}

void qdi_tls_bye(tcp_link *l)
{
    if (!l->tls || !l->tls->done || l->write_busy) return;
    (void)SSL_shutdown(l->tls->ssl);
    (void)send_own(l);
}

bool qdi_tls_named(const tcp_link *l, qd_str name)
{
    char text[256];
    if (!name.n || name.n >= sizeof text || memchr(name.p, 0, name.n)) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    X509 *x = SSL_get1_peer_certificate(l->tls->ssl);
    if (!x) return false;
    bool ok = X509_check_ip_asc(x, text, 0) == 1 || X509_check_host(x, text, name.n, 0, NULL) == 1;
    X509_free(x);
    return ok;
}

void qdi_tls_end(tcp_link *l)
{
    if (!l->tls) return;
    SSL_free(l->tls->ssl);
    qd_buf_fini(&l->tls->cipher);
    qd_free(l->tls);
    l->tls = NULL;
}
