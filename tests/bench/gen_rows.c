/*
 * gen_rows: deterministic structured documents, one JSON object a line.
 *
 *   logs  lines of a web server over 60 days, in the order of time: days with a noon and a night,
 *         weeks with a weekend; addresses, URLs and agents by Zipf's law, statuses and sizes by URL
 *         (a few URLs are missing or fail, images are not modified), addresses that come in bursts.
 *         {"id","@timestamp","clientip","status","bytes","method","url","agent","request"}
 *   taxi  rides of a month, in the order of pick-up: distance log-normal by zone, fare by distance
 *         and time, tips by way of payment.
 *         {"id","pickup","dropoff","vendor","payment","zone","passengers","distance","fare","tip","total"}
 *   mixed what documents of applications look like: 14 fields, some in objects, a list, numbers in
 * all forms; words by Zipf's law with an escape each 24, 1 % accents, some Chinese.
 *
 * usage: gen_rows logs|taxi|mixed NDOCS [SEED] > corpus.jsonl
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES 200000u
#define URLS 20000u
#define AGENTS 400u
#define ZONES 260u
#define BURSTS 64u

static uint64_t state;
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
static uint64_t rnd(void)
{
    return mix(state += 0x9e3779b97f4a7c15ull);
}
static double rndf(void)
{
    return (double)(rnd() >> 11) * 0x1p-53;
}
static double normal(void)
{
    double u = rndf();
    return sqrt(-2 * log(u > 0 ? u : 0x1p-53)) * cos(6.283185307179586 * rndf());
}

/* A rank below n by Zipf-Mandelbrot, from the inverse of its integral. */
static uint32_t zipf(uint32_t n, double s, double q)
{
    double a = pow(q, 1 - s), b = pow(n + q, 1 - s);
    uint32_t r = (uint32_t)(pow(a + rndf() * (b - a), 1 / (1 - s)) - q);
    return r < n ? r : n - 1;
}

/* Share of a day's traffic in its hour, 1 on average; weekends have less. */
static double traffic(int64_t ms)
{
    double hour = (double)(ms / 1000 % 86400) / 3600;
    int64_t day = (ms / 86400000 + 4) % 7;
    return (1 + 0.7 * sin((hour - 8) * 0.2617993877991494)) * (day == 0 || day == 6 ? 0.6 : 1.15);
}

/* The next time: on average `step` ms later. */
static int64_t later(int64_t ms, double *left, double step)
{
    double u = rndf();
    *left += -log(u > 0 ? u : 0x1p-53) * step / traffic(ms);
    int64_t whole = (int64_t)*left;
    *left -= (double)whole;
    return ms + whole;
}

/* --- logs --- */

static const char *const sections[] = {"images",  "english", "news", "products", "search",
                                       "account", "static",  "api",  "help",     "teams"};
static const char *const endings[] = {".gif", ".html", ".html", "",      "",
                                      "",     ".css",  "",      ".html", ".jpg"};
static const char *const words[] = {"index",   "home",   "list",   "view",    "detail", "logo",
                                    "banner",  "match",  "player", "ticket",  "venue",  "result",
                                    "history", "photo",  "store",  "order",   "basket", "profile",
                                    "login",   "update", "report", "weather", "travel", "culture"};
#define NWORDS (sizeof words / sizeof *words)

static void url_of(uint32_t u, char out[128])
{
    uint64_t h = mix(u * 0x9e3779b97f4a7c15ull + 7);
    uint32_t s = h % 10;
    int n = snprintf(out, 128, "/%s/%s", sections[s], words[h / 10 % NWORDS]);
    if (h >> 40 & 1) n += snprintf(out + n, 128 - (size_t)n, "/%s", words[h / 300 % NWORDS]);
    snprintf(out + n, 128 - (size_t)n, "%u%s", u, endings[s]);
}

static void agent_of(uint32_t a, char out[160])
{
    static const char *const systems[] = {"Windows NT 10.0; Win64; x64", "X11; Linux x86_64",
                                          "Macintosh; Intel Mac OS X 10_15_7",
                                          "iPhone; CPU iPhone OS 17_1 like Mac OS X"};
    if (a % 13 == 7)
        snprintf(out, 160, "crawler-%u/%u.%u (+http://crawler-%u.example/)", a, a % 5, a % 11, a);
    else
        snprintf(out, 160, "Mozilla/5.0 (%s) Engine/%u.%u Browser/%u.0", systems[mix(a) % 4],
                 500 + a % 37, a % 40, 80 + a % 60);
}

static void logs(uint64_t n)
{
    int64_t at = 1735689600000; /* 2025-01-01 */
    double left = 0, step = 60.0 * 86400000 / (double)n;
    uint32_t burst[BURSTS];
    char url[128], agent[160];
    for (uint32_t i = 0; i < BURSTS; i++) burst[i] = zipf(ADDRESSES, 0.9, 5);
    for (uint64_t i = 0; i < n; i++) {
        at = later(at, &left, step);
        uint32_t b = (uint32_t)(rnd() % BURSTS);
        if (rndf() < 0.06) burst[b] = zipf(ADDRESSES, 0.9, 5);
        uint32_t ip = (uint32_t)mix(burst[b] + 99), u = zipf(URLS, 1.1, 3);
        uint64_t h = mix(u + 12345);
        double r = rndf();
        int status = h % 97 == 3              ? 404
                     : h % 499 == 5           ? 500
                     : r < 0.002              ? 503
                     : h % 10 == 0 && r < 0.4 ? 304
                     : r > 0.97               ? 302
                                              : 200;
        uint64_t bytes =
            status == 304 ? 0 : (uint64_t)exp(5 + (double)(h >> 20 & 63) / 12 + 0.3 * normal());
        const char *method = h % 31 == 4 ? "POST" : rndf() < 0.01 ? "HEAD" : "GET";
        url_of(u, url);
        agent_of((uint32_t)(mix(burst[b]) % 7 ? zipf(40, 0.8, 1) : zipf(AGENTS, 0.7, 1)), agent);
        printf(
            "{\"id\":\"%llu\",\"@timestamp\":%lld,\"clientip\":\"%u.%u.%u.%u\",\"status\":%d,"
            "\"bytes\":%llu,"
            "\"method\":\"%s\",\"url\":\"%s\",\"agent\":\"%s\",\"request\":\"%s %s HTTP/1.1\"}\n",
            (unsigned long long)i, (long long)at, ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255,
            status, (unsigned long long)bytes, method, url, agent, method, url);
    }
}

/* --- taxi --- */

static void taxi(uint64_t n)
{
    static const char *const ways[] = {"card", "cash", "no charge", "dispute", "app"};
    static const char *const vendors[] = {"1", "2", "6"};
    int64_t at = 1735689600000;
    double left = 0, step = 31.0 * 86400000 / (double)n;
    for (uint64_t i = 0; i < n; i++) {
        at = later(at, &left, step);
        uint32_t zone = zipf(ZONES, 0.8, 4);
        double miles = exp(0.6 + (double)(mix(zone) & 63) / 40 + 0.7 * normal());
        if (miles > 90) miles = 90;
        double minutes = 3 + miles * (2.2 + 1.5 * rndf()) * (traffic(at) > 1 ? 1.4 : 1);
        double r = rndf(), fare = floor((3 + 2.4 * miles + 0.35 * minutes) * 10 + 0.5) / 10;
        int way = r < 0.66 ? 0 : r < 0.86 ? 1 : r < 0.97 ? 4 : r < 0.985 ? 2 : 3;
        double tip =
            way == 0 || way == 4 ? floor(fare * (0.1 + 0.15 * rndf()) * 100 + 0.5) / 100 : 0;
        printf("{\"id\":\"%llu\",\"pickup\":%lld,\"dropoff\":%lld,\"vendor\":\"%s\",\"payment\":\"%"
               "s\",\"zone\":\"zone-%03u\","
               "\"passengers\":%u,\"distance\":%.2f,\"fare\":%.2f,\"tip\":%.2f,\"total\":%.2f}\n",
               (unsigned long long)i, (long long)at, (long long)(at + (int64_t)(minutes * 60000)),
               vendors[r < 0.3 ? 0 : r < 0.98], ways[way], zone, 1 + zipf(6, 1.5, 0.5), miles, fare,
               tip, fare + tip + 1);
    }
}

/* --- mixed --- */

#define VOCABULARY 400000u

/* A word of the vocabulary: frequent ones are short; one in a hundred has an accent. */
static void word(uint32_t rank)
{
    static const char *const on[] = {"b", "d", "f", "g", "k",  "l",  "m",  "n",
                                     "p", "r", "s", "t", "st", "tr", "ch", "v"};
    static const char *const rhyme[] = {"a", "e", "i", "o", "u", "an", "er", "in"};
    static const char *const accent[] = {"\xc3\xa9", "\xc3\xbc", "\xc3\xb1", "\xc3\xb8"};
    uint64_t h = mix(rank * 0x9e3779b97f4a7c15ull + 3);
    for (uint32_t left = rank + 4; left; left /= 96, h >>= 7) {
        printf("%s%s", on[h & 15], rhyme[h >> 4 & 7]);
    }
    if (rank % 97 == 11) fputs(accent[h & 3], stdout);
    if (rank > 5000) printf("%c", (int)('a' + rank % 26));
}

/* n words of a sentence, as the inside of a JSON string. */
static void sentence(uint32_t n)
{
    static const char *const escapes[] = {"\\\"", "\\n", "\\t", "\\u00e9", "\\/", "\\\\"};
    for (uint32_t i = 0; i < n; i++) {
        if (i) putchar(' ');
        if (rnd() % 24 == 0) fputs(escapes[rnd() % 6], stdout);
        if (rnd() % 400 == 0)
            fputs("\xe6\x90\x9c\xe7\xb4\xa2\xe5\xbc\x95\xe6\x93\x8e", stdout);
        else
            word(zipf(VOCABULARY, 1.05, 2));
    }
}

static void mixed(uint64_t n)
{
    static const char *const languages[] = {"en", "de", "fr", "es", "zh", "pt-BR"};
    int64_t at = 1735689600000;
    double left = 0, step = 365.0 * 86400000 / (double)n;
    for (uint64_t i = 0; i < n; i++) {
        at = later(at, &left, step);
        printf("{\"id\":\"%016llx\",\"title\":\"", (unsigned long long)mix(i + 1));
        sentence(3 + (uint32_t)(rnd() % 8));
        fputs("\", \"body\":\"", stdout);
        sentence((uint32_t)exp(4.2 + 0.7 * normal()) + 1);
        fputs("\", \"note\":\"", stdout);
        sentence((uint32_t)(rnd() % 20));
        fputs("\", \"tags\":[", stdout);
        for (uint32_t t = 0, tags = (uint32_t)(rnd() % 5); t < tags; t++) {
            fputs(t ? ",\"" : "\"", stdout);
            sentence(1 + (uint32_t)(rnd() % 2));
            putchar('"');
        }
        fputs("], \"author\": {\"name\":\"", stdout);
        sentence(2);
        printf("\",\"city\":\"city-%u\",\"age\":%u}", zipf(3000, 0.9, 3), 18 + zipf(60, 0.5, 20));
        printf(", \"created\":%lld, \"updated\":%lld, \"lang\":\"%s\", \"category\":\"c/%u\"",
               (long long)at, (long long)(at + (int64_t)(rnd() % 1000000000)),
               languages[zipf(6, 1.2, 1)], zipf(500, 1.0001, 2));
        printf(", \"metrics\": {\"views\":%llu,\"rating\":%.1f,\"price\":%.6g}}\n",
               (unsigned long long)exp(6 + 3 * normal()), 1 + 4 * rndf(), exp(3 + normal()));
    }
}

static const struct {
    const char *name;
    void (*make)(uint64_t n);
} kinds[] = {{"logs", logs}, {"taxi", taxi}, {"mixed", mixed}};

int main(int argc, char **argv)
{
    static char buffer[1 << 20];
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    size_t k = 0;
    while (n && k < sizeof kinds / sizeof *kinds && strcmp(argv[1], kinds[k].name) != 0) k++;
    if (!n || k == sizeof kinds / sizeof *kinds) {
        fprintf(stderr, "usage: gen_rows logs|taxi|mixed NDOCS [SEED]\n");
        return 2;
    }
    state = argc > 3 ? strtoull(argv[3], NULL, 10) : 42;
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    kinds[k].make(n);
    return fflush(stdout) != 0 || ferror(stdout);
}
