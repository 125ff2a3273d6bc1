/* tests/tools/await.c - waits until an answer of the hub says that something is over.
 *   await SECONDS URL TOKEN_FILE VALUE…
 * Asks every 20 ms, in one process: a loop of curl and jq in a shell costs more than what
 * it waits for, and several tests run at a time.  Prints the last "status"; 0 when it is
 * one of VALUE, 1 when the time is up first, 2 when it cannot ask. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MAX (1u << 20)
#define PERIOD_NS 20000000L
#define ASK_S 10L

struct answer {
    size_t len;
    char text[ANSWER_MAX];
};

static struct answer answer;
static char status[64];

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
    struct answer *a = arg;
    size_t len = size * count;

    if (len > ANSWER_MAX - a->len) {
        return 0;
    }
    memcpy(a->text + a->len, data, len);
    a->len += len;
    return len;
}

static time_t
now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* An answer that does not come or has no status leaves the one before: the hub may be on
 * its way down or up. */
static void
ask(CURL *c)
{
    json_t *j;
    const char *s;

    answer.len = 0;
    if (curl_easy_perform(c) != CURLE_OK) {
        return;
    }
    j = json_loadb(answer.text, answer.len, 0, NULL);
    s = json_string_value(json_object_get(j, "status"));
    if (s != NULL) {
        snprintf(status, sizeof(status), "%s", s);
    }
    json_decref(j);
}

static bool
is_wanted(char **values, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(status, values[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A header with the token of FILE, NULL when it cannot be read.  The caller owns the
 * list. */
static struct curl_slist *
token_header(const char *file)
{
    char token[256] = "", line[300];
    FILE *f = fopen(file, "re");

    if (f == NULL || fgets(token, sizeof(token), f) == NULL) {
        token[0] = '\0';
    }
    if (f != NULL) {
        fclose(f);
    }
    if (token[0] == '\0') {
        return NULL;
    }
    token[strcspn(token, "\n")] = '\0';
    snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
    return curl_slist_append(NULL, line);
}

int
main(int argc, char **argv)
{
    const struct timespec period = {.tv_nsec = PERIOD_NS};
    struct curl_slist *header;
    time_t end;
    CURL *c;
    bool over;

    if (argc < 5 || (header = token_header(argv[3])) == NULL ||
        (c = curl_easy_init()) == NULL) {
        fprintf(stderr, "usage: await SECONDS URL TOKEN_FILE VALUE...\n");
        return 2;
    }
    end = now_s() + strtol(argv[1], NULL, 10);
    curl_easy_setopt(c, CURLOPT_URL, argv[2]);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, header);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, ASK_S);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    for (ask(c); !(over = is_wanted(argv + 4, argc - 4)) && now_s() < end; ask(c)) {
        nanosleep(&period, NULL);
    }
    puts(status);
    curl_easy_cleanup(c);
    curl_slist_free_all(header);
    return over ? 0 : 1;
}
