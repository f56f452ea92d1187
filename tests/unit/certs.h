/* certs.h - a certificate authority for one test: keys and certificates as PEM files in a directory. */
#ifndef US_TESTS_UNIT_CERTS_H
#define US_TESTS_UNIT_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "tests/unit/test.h"

struct cert {
	X509 *x509;
	EVP_PKEY *key;
	char cert_file[100], key_file[100];
};

static inline void cert_write(struct cert *c, const char *dir, const char *name)
{
	FILE *file;

	snprintf(c->cert_file, sizeof(c->cert_file), "%s/%s.pem", dir, name);
	snprintf(c->key_file, sizeof(c->key_file), "%s/%s.key", dir, name);
	file = fopen(c->cert_file, "w");
	assert_non_null(file);
	assert_true(PEM_write_X509(file, c->x509));
	fclose(file);
	file = fopen(c->key_file, "w");
	assert_non_null(file);
	assert_true(PEM_write_PrivateKey(file, c->key, NULL, NULL, 0, NULL, NULL));
	fclose(file);
}

static inline void cert_extend(X509 *x509, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_true(X509_add_ext(x509, extension, -1));
	X509_EXTENSION_free(extension);
}

/* A certificate for the common name and, if given, the alternative name ("DNS:a.example"), signed by
 * `issuer`, or by itself if that is NULL. Files are <dir>/<name>.pem and .key. */
static inline void cert_make(struct cert *c, const char *dir, const char *name, const char *cn,
			     int cn_len, const char *alternative, const struct cert *issuer)
{
	static int serial = 1;
	X509_NAME *subject;

	c->key = EVP_EC_gen("P-256");
	c->x509 = X509_new();
	assert_non_null(c->key);
	X509_set_version(c->x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c->x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(c->x509), 3600);
	X509_set_pubkey(c->x509, c->key);
	subject = X509_get_subject_name(c->x509);
	assert_true(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
					       (const unsigned char *)cn, cn_len, -1, 0));
	X509_set_issuer_name(c->x509, issuer ? X509_get_subject_name(issuer->x509) : subject);
	if (!issuer)
		cert_extend(c->x509, NID_basic_constraints, "critical,CA:TRUE");
	if (alternative)
		cert_extend(c->x509, NID_subject_alt_name, alternative);
	assert_true(X509_sign(c->x509, issuer ? issuer->key : c->key, EVP_sha256()));
	cert_write(c, dir, name);
}

static inline void cert_drop(struct cert *c)
{
	unlink(c->cert_file);
	unlink(c->key_file);
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

#endif
