/* https/exchange.h - one HTTP request for one range, and what its answer means. */
#ifndef SENDENSE_HTTPS_EXCHANGE_H
#define SENDENSE_HTTPS_EXCHANGE_H

#include <curl/curl.h>

#include "fetch.h"

/* One of the pool's connections. */
struct fetch_handle {
    CURL *easy;
    struct tls_seen seen;
    char curl_msg[CURL_ERROR_SIZE];
};

int fetch_handle_init(struct fetch_handle *h, const struct fetch_options *opt,
                      struct err *err);
void fetch_handle_done(struct fetch_handle *h);

enum fetch_outcome {
    FETCH_DONE,
    FETCH_AGAIN, /* it may pass: err says what it was */
    FETCH_RENEW, /* the server wants another cookie */
    FETCH_FAILED
};

/* @cookie "" = send none.  @err is set unless FETCH_DONE. */
enum fetch_outcome fetch_exchange(struct fetch_handle *h, const struct fetch_options *opt,
                                  const char *cookie, struct fetch_file *file,
                                  uint64_t offset, size_t length, void *buf,
                                  struct err *err);

/* Waits @ms; true when nobody waits for the data any more. */
bool fetch_pause(const struct fetch_options *opt, int ms);

#endif
