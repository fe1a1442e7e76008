// The search where tokens may be skipped, where scores are the emissions of states, or for long texts. Compiled by
// lockstep.py when first needed.
//
// B batch, T text tokens, S speech frames, M states; i counts tokens (rows), j frames (columns), x[i, j] are the scores.
//
//     Q[i, j] = max(Q[i, j-1], Q[i-1, j-1], Q[i-2, j-1] if row i-1 is skippable) + x[i, j]      in fp32, in column order
//
// Rows. A cluster of thread blocks holds neighbouring rows. Each "row" warp has its own rows, and above them a halo of as many
// rows as a path can move down in K columns. Q is in registers, R rows a lane. All lanes are at the same column: what a lane
// needs of the rows above its own comes by a shuffle. After every K columns, when no row of the halo is right any more, the
// halo is renewed with a message from the warp above, which may sit in the next thread block of the cluster.
//
// Scores. Loader warps fill a ring of tiles in shared memory: K columns of every slot, where a slot is a state, or a row of
// the thread block if there are more states than that. A lane reads the four next columns of the slot of its row at once.
//
// Decisions. For each row and K columns one word: bit K-1-k of the lower half says that the best path to the k-th column came
// from another row, the same bit of the upper half that it then came from two rows above.
//
// Way back. `follow` finds for each row at the end of a segment of columns the row in which its path enters the segment, all
// rows and segments at once. `count` chains those rows up to its own segment and counts the frames of each row there.
//
// Long texts. Launches of `search` go on from a column of Q in memory and leave another. Of a text with more rows than a
// cluster holds, each cluster gives some rows only, and has as many above them as a path can move down during the launch.
// The way back goes from the last stretch of columns to the first: each is searched again, only with the rows in which the
// path can be, and this time with decisions.

#include "lockstep_items.cuh"

// ---------------------------------------------------------------- loader warps

#include "score_type.cuh"

struct Columns {
  int from, until;  // of this launch
  int blocks;       // of K columns
};

struct Tiles {
  u32 ring, loaded, consumed;  // addresses: of the tiles, and of the barriers of each
  int stages, bytes;           // how many tiles, and the size of one
};

// 8 slots and 4 columns at a time: those are in 32 different banks.
DEVICE void load_tiles(const Arguments& a, const Item& item, int b, const Columns& columns, const Tiles& tiles,
                       const int* slot_index, const Band& band, int loader, int loaders, int lane) {
  const int slot_of_lane = lane >> 2, column_of_lane = lane & 3;
  const char* const origin = a.scores + ELEMENT * (b * a.stride_b + item.start * a.stride_j);
  const i64 step_j = ELEMENT * a.stride_j, step_slot = ELEMENT * a.stride_slot;
  int stage = 0, turn = 0;
#pragma unroll 1
  for (int n = 0; n < columns.blocks; ++n) {
    if (turn > 0) barrier_wait(tiles.consumed + stage * 8, (turn - 1) & 1);
    const int j = columns.from + n * K;
    if (j + K > band.first_of_highest && j <= band.last_of_lowest) {
      const u32 to = tiles.ring + stage * tiles.bytes + slot_of_lane * SLOT_BYTES + column_of_lane * 4;
      const bool inside = j + K <= item.frames;
#pragma unroll 2
      for (int slot = 8 * loader; slot < a.slots; slot += 8 * loaders) {
        if (slot + slot_of_lane >= a.slots) break;
        const char* from = origin + slot_index[slot + slot_of_lane] * step_slot;
        u32 at = to + slot * SLOT_BYTES;
#if SCORE_TYPE == FLOAT32
        if (inside) {
          from += (j + column_of_lane) * step_j;
#pragma unroll
          for (int k = 0; k < K; k += 4) copy4(at + 4 * k, from), from += 4 * step_j;
        } else {
#pragma unroll
          for (int k = 0; k < K; k += 4)
            copy4(at + 4 * k, from + min(j + column_of_lane + k, item.frames - 1) * step_j);
        }
#else
        u32 bits[K / 4];
#pragma unroll
        for (int k = 0; k < K / 4; ++k)
          bits[k] = read2_bytes(from + min(j + column_of_lane + 4 * k, item.frames - 1) * step_j);
#pragma unroll
        for (int k = 0; k < K / 4; ++k) store1(at + 16 * k, widen(bits[k]));
#endif
      }
    }
#if SCORE_TYPE == FLOAT32
    arrive_when_copied(tiles.loaded + stage * 8);
#else
    barrier_arrive(tiles.loaded + stage * 8);
#endif
    if (++stage == tiles.stages) stage = 0, ++turn;
  }
}

// ---------------------------------------------------------------- row warps

struct LaneState {
  float q[R];             // Q of its rows at the column before
  float skip_cost[R];     // 0 if the row above may be skipped, else -inf
  u32 slot[R];            // where its scores are in a tile
  int first[R];           // the row's first column
  u32 span[R];            // how many more some path can visit
  u32 leaves[R], skips[R];  // decisions, the last column's in bit 0
};

// EDGE: some cells are such that no path visits them. DECIDES: decisions are wanted.
template <bool EDGE, bool DECIDES>
DEVICE void advance(LaneState& lane, const float (&x)[R], int j) {
  float above, two_above;
  from_lane_before(above, lane.q[R - 1]);
  if (SKIPS) from_lane_before(two_above, lane.q[R - 2]);
#pragma unroll
  for (int r = R - 1; r >= 0; --r) {
    const float stay = lane.q[r];
    float leave = r > 0 ? lane.q[r - 1] : above;
    if (SKIPS) {
      const float skip = __fadd_rn(r > 1 ? lane.q[r - 2] : r > 0 ? above : two_above, lane.skip_cost[r]);
      // A difference of floats has the sign of their order: it is shifted into the word.
      if (DECIDES) lane.skips[r] = __funnelshift_l(__float_as_uint(__fsub_rn(leave, skip)), lane.skips[r], 1);
      leave = max_nan(leave, skip);
    }
    if (DECIDES) lane.leaves[r] = __funnelshift_l(__float_as_uint(__fsub_rn(stay, leave)), lane.leaves[r], 1);
    const float score = !EDGE || (u32)(j - lane.first[r]) <= lane.span[r] ? x[r] : NEG_INF;
    lane.q[r] = __fadd_rn(max_nan(stay, leave), score);
  }
}

struct Chunk {
  float x[4][R];  // of four columns
};

DEVICE void fetch(Chunk& chunk, const LaneState& lane, u32 tile, int column) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const float4 x = load4(tile + lane.slot[r] + 4 * column);
    chunk.x[0][r] = x.x, chunk.x[1][r] = x.y, chunk.x[2][r] = x.z, chunk.x[3][r] = x.w;
  }
}

// K columns from j on.
template <bool EDGE, bool DECIDES>
DEVICE void advance_block(LaneState& lane, u32 tile, int j) {
  Chunk even, odd;
  fetch(even, lane, tile, 0);
#pragma unroll 1
  for (int k = 0; k < K; k += 8) {
    fetch(odd, lane, tile, k + 4);
#pragma unroll
    for (int n = 0; n < 4; ++n) advance<EDGE, DECIDES>(lane, even.x[n], j + k + n);
    fetch(even, lane, tile, k + 8);  // what follows the last column is room between slots
#pragma unroll
    for (int n = 0; n < 4; ++n) advance<EDGE, DECIDES>(lane, odd.x[n], j + k + 4 + n);
  }
}

// As many columns as there are in an item's last block.
template <bool DECIDES>
DEVICE void advance_some(LaneState& lane, u32 tile, int j, int columns) {
#pragma unroll 1
  for (int k = 0; k < columns; ++k) {
    float x[R];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = load1(tile + lane.slot[r] + 4 * k);
    __syncwarp();
    advance<true, DECIDES>(lane, x, j + k);
  }
#pragma unroll
  for (int r = 0; r < R; ++r) lane.leaves[r] <<= K - columns, lane.skips[r] <<= K - columns;
}

struct Rows {
  int top;         // the warp's first own row
  int row0;        // the cluster's first
  int given, until;  // from the first row on that this launch gives to the end of those it has to know
};

struct Links {
  u32 inbox, arrived, credit;          // this warp's; what it waits for before it writes
  u32 next_inbox, next_arrived;        // in the cluster
  u32 previous_credit;
  bool has_previous, has_next;
  bool next_is_here, previous_is_here;  // in the same thread block
};

// A warp has a scheduler nearly to itself, so what it issues and waits for is what counts: between the K columns lanes differ
// by predicates only.
template <bool DECIDES>
DEVICE void run_rows(const Arguments& a, const Item& item, int b, const Columns& columns, const Rows& rows,
                     const Band& band, const Tiles& tiles, const Links& links, LaneState& lane_state, int lane, u32* words) {
  const bool halo = lane < HALO_LANES, first_lane = lane == 0, gives_message = lane >= 32 - HALO_LANES;
  const u32 take_from = links.inbox + lane % HALO_LANES * 16, give_to = links.next_inbox + (lane + HALO_LANES - 32) * 16;
  const int at = rows.top - rows.row0 + (lane - HALO_LANES) * R;
  const bool stores = DECIDES && !halo && at < a.pitch;
  words += at;
  int stage = 0, turn = 0;
#pragma unroll 1
  for (int n = 0; n < columns.blocks; ++n) {
    const int j = columns.from + n * K, left = columns.until - j;
    const bool receives = links.has_previous && n > 0, sends = links.has_next && n + 1 < columns.blocks;
    const bool needs_credit = sends && n >= INBOX;
    const u32 loaded = tiles.loaded + stage * 8, parity = turn & 1, tile = tiles.ring + stage * tiles.bytes;
    const int in = (n - 1) & (INBOX - 1), out = n & (INBOX - 1);
    barrier_wait(loaded, parity, receives ? links.arrived + in * 8 : loaded, receives ? (n - 1) / INBOX & 1 : parity,
                 needs_credit ? links.credit + out * 8 : loaded, needs_credit ? (n / INBOX - 1) & 1 : parity);
    __syncwarp();  // no lane still looks at a barrier that may move on by what others do below
    const bool takes = receives && halo;  // else the writer need not wait for the reader
    const float4 q = load4_if(takes, take_from + in * MESSAGE_BYTES);
    lane_state.q[0] = takes ? q.x : lane_state.q[0], lane_state.q[1] = takes ? q.y : lane_state.q[1];
    lane_state.q[2] = takes ? q.z : lane_state.q[2], lane_state.q[3] = takes ? q.w : lane_state.q[3];
    if (j + K > band.first_of_highest && j <= band.last_of_lowest) {
      if (left < K) advance_some<DECIDES>(lane_state, tile, j, left);
      else if (j < band.first_of_lowest || j + K - 1 > band.last_of_highest) advance_block<true, DECIDES>(lane_state, tile, j);
      else advance_block<false, DECIDES>(lane_state, tile, j);
    }
    if (links.next_is_here) store4_if(sends && gives_message, give_to + out * MESSAGE_BYTES, lane_state.q);
    else send4_if(sends && gives_message, give_to + out * MESSAGE_BYTES, links.next_arrived + out * 8, lane_state.q);
    if (DECIDES) {
      u32 word[R];
#pragma unroll
      for (int r = 0; r < R; ++r) word[r] = __byte_perm(lane_state.leaves[r], lane_state.skips[r], 0x5410);
      write_if(stores, words, word);
      words += a.pitch;
    }
    __syncwarp();
    arrive_for_warp_if(true, first_lane, tiles.consumed + stage * 8);
    arrive_for_warp_if(sends && links.next_is_here, first_lane, links.next_arrived + out * 8);
    if (links.previous_is_here) arrive_for_warp_if(receives, first_lane, links.previous_credit + in * 8);
    else rearm_relaxed_if<MESSAGE_BYTES>(first_lane && receives, links.arrived + in * 8, links.previous_credit + in * 8);
    if (++stage == tiles.stages) stage = 0, ++turn;
  }
  if (halo || a.mode == WINDOW) return;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int row = rows.top + (lane - HALO_LANES) * R + r;
    if (row < rows.given || row >= rows.until) continue;
    if (a.mode == SLICES) a.column_out[(i64)b * a.T + row] = lane_state.q[r];
    if (columns.until == item.frames && row >= item.tokens - 2) a.ends[2 * b + item.tokens - 1 - row] = lane_state.q[r];
  }
}

// ---------------------------------------------------------------- search

// What the lane knows before the first column. local: the warp's number in its thread block.
DEVICE LaneState begin(const Arguments& a, int b, const Columns& columns, const Rows& rows, const Visitable& visitable,
                       int local, int lane) {
  LaneState state;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int row = rows.top - HALO + lane * R + r;
    const bool above_all = row < 0 || row < rows.row0, there = !above_all && row < rows.until;
    int slot = a.slots;  // one more: -inf in every column
    if (there) slot = a.by_state ? (int)integer(a.states, (i64)b * a.T + row, a.states_are_int64) : local * OWN + lane * R + r;
    state.slot[r] = slot * SLOT_BYTES;
    state.skip_cost[r] = there && row >= 2 && may_skip(a, b, row - 1) ? 0.0f : NEG_INF;
    const int first = there ? visitable.first(row) : 0, last = there ? visitable.last(row) : NEVER;
    state.first[r] = last < first ? NEVER : first;
    state.span[r] = last < first ? 0 : last - first;
    state.leaves[r] = state.skips[r] = 0;
    state.q[r] = NEG_INF;
    if (columns.from == 0) {
      if (row == 0) state.q[r] = 0.0f;  // a path starts in the first row, or by a move from it
    } else if (there && (u32)(columns.from - 1 - state.first[r]) <= state.span[r]) {
      state.q[r] = a.column_in[(i64)b * a.T + row];
    }
  }
  return state;
}

// grid: B * slices clusters; block: W row warps, W loader warps.
extern "C" __global__ void __launch_bounds__(64 * MOST_WARPS, 2) search(const Arguments a) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ u64 all_barriers[2 * MOST_STAGES + MOST_WARPS * 2 * INBOX];
  __shared__ int counts[COUNTS];
  const int W = blockDim.x / 64, tid = threadIdx.x, lane = tid & 31, warp = __shfl_sync(~0u, tid >> 5, 0);
  const int rank = cluster_rank(), size = cluster_size(), unit = blockIdx.x / size;
  const int b = unit / a.slices, slice = unit % a.slices;
  let_next_launch_begin();
  const Item item = read_item(a, b);
  wait_for_launch_before();

  // Every thread block of the cluster returns here, or none.
  int needed;
  const int* before = (const int*)shared;
  if (a.mode == WHOLE) {
    needed = plan(a, item, b, (int*)shared, counts);
  } else {
    needed = a.needed[b], before = a.before + (i64)b * (a.T + 1);
  }
  if (needed < 0) {
    if (a.mode == WHOLE) set_result(a, b, -1, rank * blockDim.x + tid, size * blockDim.x);
    return;
  }
  const Visitable visitable = {before, item.frames - needed};
  Columns columns;
  columns.from = a.first_column, columns.until = min(item.frames, columns.from + a.n_columns);
  columns.blocks = (columns.until - columns.from + K - 1) / K;
  if (columns.blocks <= 0) return;
  Rows rows;
  rows.row0 = 0, rows.given = 0, rows.until = item.tokens;
  if (a.mode == SLICES) {
    rows.given = slice * a.slice_rows, rows.row0 = rows.given - a.slice_halo;
    rows.until = min(item.tokens, rows.given + a.slice_rows);
    if (rows.given >= rows.until) return;
    if (visitable.first(rows.given) >= columns.until || visitable.last(rows.until - 1) < columns.from) return;
  } else if (a.mode == WINDOW) {
    const int end = columns.until == item.frames ? last_row(a, item, b) : a.row_in[b];
    if (end < 0) return;
    rows.row0 = end - REACH * a.n_columns, rows.until = end + 1;
  }

  // shared memory: tiles, inboxes, what each slot is
  Tiles tiles;
  tiles.ring = shared_address(shared), tiles.stages = a.stages, tiles.bytes = (a.slots + 1) * SLOT_BYTES;
  tiles.loaded = shared_address(all_barriers), tiles.consumed = tiles.loaded + 8 * MOST_STAGES;
  const u32 inboxes = tiles.ring + tiles.stages * tiles.bytes, links_at = tiles.loaded + 16 * MOST_STAGES;
  int* const slot_index = (int*)(shared + tiles.stages * tiles.bytes + W * INBOX * MESSAGE_BYTES);
  const int block_row0 = rows.row0 + rank * W * OWN;
  const int working = max(0, min(W, (rows.until - block_row0 + OWN - 1) / OWN));  // row warps of this thread block
  const bool loads = warp >= W;
  const int local = loads ? warp - W : warp;
  rows.top = block_row0 + local * OWN;
  const int above_rows = max(rows.row0, 0);
  LaneState lane_state;
  Band band;
  if (loads) {
    band = band_of(visitable, max(block_row0 - HALO, above_rows), min(block_row0 + W * OWN, rows.until) - 1);
  } else {
    band = band_of(visitable, max(rows.top - HALO, above_rows), min(rows.top + OWN, rows.until) - 1);
    lane_state = begin(a, b, columns, rows, visitable, local, lane);
  }
  __syncthreads();  // `before` may lie where the tiles will
  for (int slot = tid; slot < a.slots; slot += blockDim.x) {
    int index = slot;
    if (!a.by_state) {
      index = max(0, min(block_row0 - HALO + slot, item.tokens - 1));
      if (a.states) index = (int)integer(a.states, (i64)b * a.T + index, a.states_are_int64);
    }
    slot_index[slot] = index;
  }
  for (int n = tid; n < tiles.stages * (K + 4); n += blockDim.x)
    store1(tiles.ring + n / (K + 4) * tiles.bytes + a.slots * SLOT_BYTES + n % (K + 4) * 4, NEG_INF);
  if (tid < tiles.stages) {
    barrier_init(tiles.loaded + tid * 8, 32 * W);
    barrier_init(tiles.consumed + tid * 8, max(1, working * VOICES));
  }
  for (int n = tid; n < W * 2 * INBOX; n += blockDim.x) {
    const bool of_warp = n >= INBOX && n < (2 * W - 1) * INBOX;  // not of another block's
    barrier_init(links_at + n * 8, of_warp ? VOICES : 1);
  }
  __syncwarp();
  if (tid < INBOX && rank > 0) barrier_expect(links_at + tid * 8, MESSAGE_BYTES);  // filled by another thread block
  show_barriers_to_cluster();
  if (size > 1) cluster_sync();
  else __syncthreads();
  if (a.mode == WHOLE) set_result(a, b, 0, rank * blockDim.x + tid, size * blockDim.x);

  if (loads) {
    if (working > 0) load_tiles(a, item, b, columns, tiles, slot_index, band, local, W, lane);
  } else if (local < working) {
    Links links;
    links.has_previous = rank > 0 || local > 0, links.has_next = rows.top + OWN < rows.until;
    links.inbox = inboxes + local * INBOX * MESSAGE_BYTES;
    links.arrived = links_at + local * 2 * INBOX * 8, links.credit = links.arrived + INBOX * 8;
    links.next_is_here = local + 1 < W, links.previous_is_here = local > 0;
    const int next = links.next_is_here ? local + 1 : 0, previous = links.previous_is_here ? local - 1 : W - 1;
    links.next_inbox = inboxes + next * INBOX * MESSAGE_BYTES;
    links.next_arrived = links_at + next * 2 * INBOX * 8;
    links.previous_credit = links_at + (previous * 2 + 1) * INBOX * 8;
    if (!links.next_is_here && rank + 1 < size) {
      links.next_inbox = in_block(links.next_inbox, rank + 1);
      links.next_arrived = in_block(links.next_arrived, rank + 1);
    }
    if (!links.previous_is_here && rank > 0) links.previous_credit = in_block(links.previous_credit, rank - 1);
    u32* const words = a.words + (i64)b * a.n_blocks * a.pitch;
    if (a.mode == SLICES) run_rows<false>(a, item, b, columns, rows, band, tiles, links, lane_state, lane, words);
    else run_rows<true>(a, item, b, columns, rows, band, tiles, links, lane_state, lane, words);
  }
  if (size > 1) cluster_sync();  // the others may still send to this thread block
}

#include "lockstep_back.cuh"
