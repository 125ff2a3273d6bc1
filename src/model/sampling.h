/* model/sampling.h - what a sample without a finding is worth.            Layer 1.  Pure.
 */
#ifndef SENDENSE_MODEL_SAMPLING_H
#define SENDENSE_MODEL_SAMPLING_H

#include <stdint.h>

/* The probability that @samples different blocks, drawn uniformly from @population,
 * contain none of @bad bad ones: 1 for no bad block or no sample, 0 when a bad one cannot
 * be missed. */
double sampling_miss_probability(uint64_t population, uint64_t samples, uint64_t bad);

#endif
