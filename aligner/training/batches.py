"""Which utterances share a batch, and which process takes them."""

import warnings
from collections.abc import Mapping

MAX_BUCKETS = 10  # lhotse's usual number; more make little difference


def epoch_batches(
    durations_s: Mapping[str, float], batch_duration_s: float, seed: int, epoch: int
) -> list[list[str]]:
    """The batches of one epoch, by lhotse's bucketing sampler: utterances of similar length share one.

    lhotse is not asked to share them out among processes: it repeats utterances so that all have as many
    batches, and these would count twice.

    Args:
        durations_s: The length of each utterance by id.
        batch_duration_s: Seconds of audio in a batch at most, padding counted, give or take one utterance.
        seed: Of the order.
        epoch: The order of each is drawn anew.
    """
    from lhotse import CutSet, MonoCut
    from lhotse.dataset import DynamicBucketingSampler, SimpleCutSampler

    # Cuts of nothing but a length: to read the manifest's again takes twenty times as long as to sample.
    cuts = CutSet.from_cuts(
        MonoCut(id=id, start=0.0, duration=duration_s, channel=0) for id, duration_s in durations_s.items()
    )
    settings = {
        "max_duration": batch_duration_s, "shuffle": True, "seed": seed, "world_size": 1, "rank": 0
    }  # fmt: skip
    filled = int(sum(durations_s.values()) / batch_duration_s / 2)
    buckets = min(MAX_BUCKETS, filled, len(durations_s) // 2)  # a few chapters are many batches' audio
    with warnings.catch_warnings():
        # They are of a manifest read at once, utterances longer than a batch, and buckets of like lengths.
        warnings.simplefilter("ignore")
        if buckets < 2:  # too little to fill buckets of like length
            sampler = SimpleCutSampler(cuts, **settings)
        else:
            sampler = DynamicBucketingSampler(cuts, num_buckets=buckets, **settings)
        sampler.set_epoch(epoch)
        return [[cut.id for cut in batch] for batch in sampler]


def of_process(durations_s: Mapping[str, float], rank: int, processes: int) -> dict[str, float]:
    """The utterances that are one process' own in every epoch, so that it keeps their features.

    Dealt out by length: every process has as much audio, and a like part of every batch of like lengths.

    Args:
        durations_s: The length of each utterance by id.
        rank: Of the process, from 0.
        processes: How many there are.
    """
    dealt = sorted(durations_s, key=lambda id: (-durations_s[id], id))[rank::processes]
    own = set(dealt)
    return {id: duration_s for id, duration_s in durations_s.items() if id in own}


def batches_in_order(durations_s: Mapping[str, float], batch_duration_s: float) -> list[list[str]]:
    """Batches of neighbours, in the given order. Arguments as of `epoch_batches`."""
    batches: list[list[str]] = []
    longest_s = 0.0
    for id, duration_s in durations_s.items():
        longest_s = max(longest_s, duration_s)
        if not batches or longest_s * (len(batches[-1]) + 1) > batch_duration_s:
            batches.append([])
            longest_s = duration_s
        batches[-1].append(id)
    return batches
