/* geo.c: see geo.h. */
#include "base/geo.h"

#define RAD (M_PI / 180)

/* Into (-180, 180], what is in [-180, 180] stays. */
static double normal_lon(double lon)
{
    if (lon >= -180 && lon <= 180) return lon;
    double x = fmod(lon + 180, 360);
    if (x <= 0) x += 360;
    return x - 180;
}

qd_geo qd_geo_normal(qd_geo p)
{
    double lat = p.lat, lon = p.lon;
    if (!qd_geo_lat_valid(lat)) {
        lat = fmod(lat, 360);
        if (lat > 180) lat -= 360;
        if (lat < -180) lat += 360;
        if (!qd_geo_lat_valid(lat)) { /* behind a pole: on the other side */
            lat = lat > 0 ? 180 - lat : -180 - lat;
            lon += lon > 0 ? -180 : 180;
        }
    }
    return (qd_geo){lat, normal_lon(lon)};
}

double qd_geo_arc(qd_geo a, qd_geo b)
{
    double s = sin((a.lat - b.lat) * RAD / 2), t = sin((a.lon - b.lon) * RAD / 2);
    double h = s * s + cos(a.lat * RAD) * cos(b.lat * RAD) * t * t;
    return 2 * QD_GEO_RADIUS * asin(fmin(1, sqrt(h)));
}

double qd_geo_plane(qd_geo a, qd_geo b)
{
    double x = (b.lon - a.lon) * RAD * cos((a.lat + b.lat) / 2 * RAD), y = (b.lat - a.lat) * RAD;
    return sqrt(x * x + y * y) * QD_GEO_RADIUS;
}

/* --- geohashes: 5 bits a character, longitude first, then in turns ------------------------------
 */

static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";

size_t qd_geohash_parse(qd_str text, qd_geo_corner corner, qd_geo *out)
{
    uint64_t at[2] = {0, 0}; /* latitude, longitude */
    uint32_t bits[2] = {0, 0};
    bool odd = true;
    for (size_t i = 0; i < text.n && i < QD_GEOHASH_MAX; i++) {
        const char *d = text.p[i] ? strchr(digits, text.p[i]) : NULL;
        if (!d) return i;
        for (int k = 4; k >= 0; k--, odd = !odd) {
            at[odd] = at[odd] << 1 | ((uint32_t)(d - digits) >> k & 1);
            bits[odd]++;
        }
    }
    bool top = corner == QD_GEO_TOP_LEFT || corner == QD_GEO_TOP_RIGHT;
    bool right = corner == QD_GEO_BOTTOM_RIGHT || corner == QD_GEO_TOP_RIGHT;
    *out = (qd_geo){ldexp((double)(at[0] + top) * 180, -(int)bits[0]) - 90,
                    ldexp((double)(at[1] + right) * 360, -(int)bits[1]) - 180};
    return SIZE_MAX;
}

void qd_geohash_print(qd_geo p, uint32_t n, char out[QD_GEOHASH_MAX + 1])
{
    /* as cells above the least: what the column keeps has the hash that the value has */
    uint32_t at[2] = {(uint32_t)qd_geo_lat_cell(p.lat) ^ 1u << 31,
                      (uint32_t)qd_geo_lon_cell(p.lon) ^ 1u << 31};
    bool odd = true;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = 0;
        for (int k = 0; k < 5; k++, odd = !odd) {
            d = d << 1 | at[odd] >> 31;
            at[odd] <<= 1;
        }
        out[i] = digits[d];
    }
    out[n] = 0;
}
