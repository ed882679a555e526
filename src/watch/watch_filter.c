/*
 * watch_filter.c: the keys that a statement has returned, as a Bloom filter.
 *
 * Source: B. H. Bloom, "Space/time trade-offs in hash coding with allowable
 * errors", 1970; F. Putze, P. Sanders, J. Singler, "Cache-, hash- and
 * space-efficient Bloom filters", 2007, for keeping the bits of a key in one
 * word.
 *
 * Sixteen bits for a key, four of which are set: about one key in 200 that was
 * never added is taken for one that was.  The filter grows by layers, each
 * eight times as large as the one before, from 1 kB for 512 keys; the fourth
 * has 512 kB.  Beyond 300,000 keys nothing is added.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "watch/watch.h"

#define LAYERS_MAX lengthof(((KeyFilter *) NULL)->layer)
#define FIRST_LAYER_WORDS 128
#define KEYS_OF_A_WORD 4

#define layer_words(layer) ((uint32) FIRST_LAYER_WORDS << (3 * (layer)))
#define layer_capacity(layer) (layer_words(layer) * KEYS_OF_A_WORD)

static inline uint64
bits_of(uint64 hash)
{
	return (UINT64CONST(1) << (hash & 63)) |
		(UINT64CONST(1) << ((hash >> 6) & 63)) |
		(UINT64CONST(1) << ((hash >> 12) & 63)) |
		(UINT64CONST(1) << ((hash >> 18) & 63));
}

static inline uint64 *
word_of(const KeyFilter *filter, int layer, uint64 hash)
{
	return &filter->layer[layer][(hash >> 32) & (layer_words(layer) - 1)];
}

/*
 * Forget every key.
 */
void
ar_watch_filter_reset(KeyFilter *filter)
{
	for (int layer = 0; layer < filter->layers; layer++)
		pfree(filter->layer[layer]);
	filter->layers = 0;
	filter->count = 0;
	filter->total = 0;
}

bool
ar_watch_filter_has(const KeyFilter *filter, uint64 hash)
{
	uint64		bits = bits_of(hash);

	for (int layer = filter->layers - 1; layer >= 0; layer--)
	{
		if ((*word_of(filter, layer, hash) & bits) == bits)
			return true;
	}
	return false;
}

/*
 * Add a key; false if it was there, or if there is no room for it.
 */
bool
ar_watch_filter_add(KeyFilter *filter, uint64 hash)
{
	if (ar_watch_filter_has(filter, hash) || ar_watch_filter_is_full(filter))
		return false;
	if (filter->layers == 0 || filter->count == layer_capacity(filter->layers - 1))
	{
		filter->layer[filter->layers] =
			MemoryContextAllocZero(filter->context,
								   layer_words(filter->layers) * sizeof(uint64));
		filter->layers++;
		filter->count = 0;
	}
	*word_of(filter, filter->layers - 1, hash) |= bits_of(hash);
	filter->count++;
	filter->total++;
	return true;
}

bool
ar_watch_filter_is_full(const KeyFilter *filter)
{
	return filter->layers == LAYERS_MAX && filter->count == layer_capacity(LAYERS_MAX - 1);
}
