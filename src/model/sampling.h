/* model/sampling.h - what a sample without a finding is worth.            Layer 1.  Pure.
 */
#ifndef SENDENSE_MODEL_SAMPLING_H
#define SENDENSE_MODEL_SAMPLING_H

#include <stdint.h>

#include "model/jobstate.h"

/* How many of an audit's @sampled blocks at least were drawn uniformly from all that was
 * not read.  The others look where a fault is likelier, and may look nowhere near a bad
 * block.  `changed`: a quarter; else three (src/copy/audit.h keeps to it). */
uint64_t sampling_uniform(enum read_mode mode, uint64_t sampled);

/* The probability that @samples different blocks, drawn uniformly from @population,
 * contain none of @bad bad ones: 1 for no bad block or no sample, 0 when a bad one cannot
 * be missed. */
double sampling_miss_probability(uint64_t population, uint64_t samples, uint64_t bad);

#endif
