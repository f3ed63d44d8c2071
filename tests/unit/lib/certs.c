/* certs.c: see certs.h. */
#include "unit/lib/certs.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "certificates: %s\n", what);
    abort();
}

static FILE *file(const char *folder, const char *name, const char *end, const char *mode)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, end);
    FILE *f = fopen(path, mode);
    must(f != NULL, path);
    return f;
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(e && X509_add_ext(x, e, -1), value);
    X509_EXTENSION_free(e);
}

static void make(const char *folder, const char *name, const char *alt, const char *authority)
{
    static long serial = 1;
    EVP_PKEY *key = EVP_EC_gen("P-256"), *signer = key;
    X509 *x = X509_new(), *issuer = x;
    must(key && x, "memory");
    if (authority) {
        FILE *f = file(folder, authority, "crt", "r");
        issuer = PEM_read_X509(f, NULL, NULL, NULL);
        fclose(f);
        f = file(folder, authority, "key", "r");
        signer = PEM_read_PrivateKey(f, NULL, NULL, NULL);
        fclose(f);
        must(issuer && signer, authority);
    }
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    extend(x, issuer, NID_basic_constraints, authority ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt) extend(x, issuer, NID_subject_alt_name, alt);
    must(X509_sign(x, signer, EVP_sha256()) > 0, "signature");
    FILE *f = file(folder, name, "crt", "w");
    must(PEM_write_X509(f, x), name);
    fclose(f);
    f = file(folder, name, "key", "w");
    must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), name);
    fclose(f);
    if (authority) {
        X509_free(issuer);
        EVP_PKEY_free(signer);
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

void certs_authority(const char *folder, const char *name)
{
    make(folder, name, NULL, NULL);
}

void certs_make(const char *folder, const char *name, const char *alt, const char *authority)
{
    make(folder, name, alt, authority);
}
