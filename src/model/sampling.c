/* model/sampling.c - see sampling.h. */
#include <math.h>

#include "model/sampling.h"

/* Beyond so many factors the logarithm of the gamma function is as exact, and quicker. */
#define FACTORS_MAX 100000u

uint64_t
sampling_uniform(enum read_mode mode, uint64_t sampled)
{
    return mode == READ_CHANGED ? sampled / 4 : sampled / 4 * 3 + sampled % 4 * 3 / 4;
}

double
sampling_miss_probability(uint64_t population, uint64_t samples, uint64_t bad)
{
    uint64_t few = samples < bad ? samples : bad, many = samples < bad ? bad : samples;
    double n = (double)population, m = (double)many, log_p = 0;

    if (few == 0)
        return 1;
    if (many >= population || few > population - many)
        return 0;
    /* C(N - bad, samples) / C(N, samples) is the same with the two exchanged: a product
     * of as many factors as the smaller one. */
    if (few > FACTORS_MAX)
        return exp(lgamma(n - m + 1) - lgamma(n - m - (double)few + 1) -
                   (lgamma(n + 1) - lgamma(n - (double)few + 1)));
    for (uint64_t i = 0; i < few; i++)
        log_p += log1p(-m / (n - (double)i));
    return exp(log_p);
}
