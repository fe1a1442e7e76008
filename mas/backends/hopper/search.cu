// The search on GPUs with thread block clusters (Hopper and later). Compiled by search.py when first needed.
//
// B batch, T text tokens, S speech frames; i counts tokens (rows), j frames (columns), x[i, j] are the scores.
//
//     Q[i, j] = max(Q[i, j-1], Q[i-1, j-1]) + x[i, j]        one fp32 addition a cell, in column order
//
// Rows. A cluster of thread blocks holds one item; each "dp" warp holds 32 * R rows, each lane R neighbouring ones,
// with Q in registers. Rows and columns are counted from row0, the warp's first row: row0 also is the first column
// that its first row can reach, so that each warp starts on the diagonal.
//
// Time. At macro-step m lane l works on the 4 columns of chunk c = m - l. What it needs of the row above was made by
// lane l-1 one macro-step earlier, so the shuffles between lanes are off the chain of dependent additions. What the
// last lane makes goes into an inbox of the next warp, which may sit in the next thread block of the cluster, 8 chunks
// (a stage) signalled at a time.
//
// Scores. Each dp warp has a loader warp that fills a ring of D stages in shared memory, 32 columns a stage, with
// only those cells that some path can visit. A stage's columns are aligned to 32 for every row: lanes 8q..8q+7 get
// block s - q at stage s and use it at stages s and s + 1. The ring has side by side what memory has: a row's columns, or for
// ALIGNED_COLUMNS a column's rows.
//
// Way back. A cell's 32-bit history says at which columns of the current 32-column block the best path to that cell
// moved down a row; moving copies the history of the row above. Histories are stored at the end of each block, for blocks
// counted from row0 (1/32 of the size of the scores that a path can visit). The path then is: row at the end of the
// previous block = row - popcount(history), and the set bits are the columns at which its tokens start.

#include "ptx.cuh"

// search.py passes, with -D:
//   R                 rows a lane
//   D                 stages in a loader's ring; 2 of them are in use
//   SCORE_TYPE        FLOAT32, FLOAT16 or BFLOAT16
//   INBOX             stages of boundary values a warp can be ahead of the next; a power of two
//   TILE              blocks the way back looks ahead
//   WINDOW            rows that the path can be in during this tile and the two before
//   RING_BYTES, INBOX_BYTES, ARGUMENTS_BYTES   for the assertions below
// and, where scores are Gaussian and made as the search goes, GAUSSIAN, the dp warps of a thread block: see gaussian.cu.

static_assert(R == 1 || R == 2 || R == 4, "histories are stored in one go");

struct Arguments {
  const char* scores;
  i64 stride_b, stride_i, stride_j;  // in elements
  const void* text_lengths;
  const void* speech_lengths;
  i64* durations;   // [B, T]
  u32* histories;   // [B, history_words]; an item's: [blocks of 32 columns, tokens rounded up to 4]
  i64 history_words;
  int T, S;
  int text_lengths_are_int64, speech_lengths_are_int64;
  int loader;       // how scores are read: ALIGNED_ROWS, ROWS_ONE_BY_ONE, COLUMNS_ONE_BY_ONE or ALIGNED_COLUMNS
};

static_assert(sizeof(Arguments) == ARGUMENTS_BYTES, "search.py has the same structure");

constexpr int ROWS = 32 * R;                 // rows a warp
constexpr int ROW_BYTES = D * 128;           // a row's ring: D blocks of 32 floats
static_assert(RING_BYTES == ROWS * ROW_BYTES, "search.py allots a ring for each dp warp");
constexpr int MESSAGE_BYTES = 32;            // boundary values of one chunk: 4 of Q, then 4 histories
constexpr int INBOX_STAGE = 8 * MESSAGE_BYTES;
static_assert(INBOX_BYTES == INBOX * INBOX_STAGE, "search.py allots an inbox for each dp warp, and one more");
static_assert((INBOX & (INBOX - 1)) == 0, "places in an inbox are masked");
constexpr int BARRIERS = 2 * D + 2 * INBOX;  // loaded[D], consumed[D], arrived[INBOX], credit[INBOX]
constexpr int MOST_BLOCK_WARPS = 8;          // dp warps of a thread block; there are as many loaders
static_assert(WINDOW == 3 * TILE * 32 + 4, "a path moves down at most one row in each of a block's 32 columns");
constexpr int CHUNK_MASK = 0x70;             // of a place in the 128 bytes of a row's block: 8 chunks of 16 bytes
constexpr int COLUMN_BYTES = 4 * ROWS;       // of a ring of columns, whose D blocks are one after the other
constexpr int ALL_COLUMNS = 1 << 28;         // of a ring: every column exists
constexpr int UNREACHED = 0x3fffffff;        // a column or stage beyond all others, with room for additions
#define NEG_INF __int_as_float(0xff800000)

struct Item {
  int tokens, frames, slack;  // slack: frames - tokens
  bool fits;
};

DEVICE i64 length(const void* lengths, int b, int are_int64) {
  return are_int64 ? ((const i64*)lengths)[b] : (i64)((const int*)lengths)[b];
}

DEVICE Item read_item(const Arguments& a, int b) {
  i64 tokens = length(a.text_lengths, b, a.text_lengths_are_int64);
  i64 frames = length(a.speech_lengths, b, a.speech_lengths_are_int64);
  Item item;
  item.fits = tokens >= 1 && tokens <= a.T && frames <= a.S && tokens <= frames;
  item.tokens = item.fits ? (int)tokens : 0;
  item.frames = item.fits ? (int)frames : 0;
  item.slack = item.frames - item.tokens;
  return item;
}

// What one warp of rows has to do; the same for the dp warp and its loader.
struct Share {
  int row0, rows;        // its first row and how many the item has of its ROWS
  bool has_next;         // another warp holds rows below
  int stages;
  int last_column;       // of the item, counted from row0; only where there is no next warp
};

DEVICE Share share_of(const Item& item, int warp) {
  Share share;
  share.row0 = warp * ROWS;
  share.rows = min(ROWS, item.tokens - share.row0);
  share.has_next = share.row0 + ROWS < item.tokens;
  share.last_column = share.has_next ? UNREACHED : item.slack + share.rows - 1;
  const int last_lane = (share.rows - 1) / R;
  share.stages = share.has_next ? item.slack / 32 + 5 + R : share.last_column / 32 + last_lane / 8 + 2;
  return share;
}

DEVICE int history_pitch(const Item& item) { return (item.tokens + 3) & ~3; }
DEVICE int history_blocks(const Item& item) { return item.slack / 32 + R + 1; }  // of a warp, counted from row0

#ifdef GAUSSIAN
constexpr int W = GAUSSIAN;  // dp warps of a thread block
#include "gaussian.cu"
#else  // no rings: see Source
constexpr int TEAM = 0, QUARTERS = 1, QUARTER_FLOATS = 0;
DEVICE constexpr int place_in_quarter(int, int) { return 0; }
#endif

#include "search_loader.cuh"

// ---------------------------------------------------------------- dp warps

// One warp has a scheduler nearly to itself, so what it issues and waits for is what counts: a stage of 8 macro-steps is
// straight code in which lanes differ by predicates only.

struct LaneState {
  float q[R];      // Q of its rows at the column before
  u32 h[R];        // their histories
  float above[4];  // Q of the row above its own, one column before each of the chunk's columns
  u32 above_h[4];
  u32 bit;         // of the chunk's first column in the history
};

struct Chunk {  // what a lane reads from shared memory for one macro-step
  float x[R][4];
  float above[4];  // from the warp above, for lane 0
  u32 above_h[4];
};

struct Links {
  u32 inbox, arrived;    // this warp's
  u32 outbox;            // where this warp writes: the next warp's inbox, or what is copied to it
  u32 next_inbox, next_arrived;  // in the cluster
  u32 credit;            // barriers this warp waits on before it writes
  u32 previous_credit;   // the previous warp's, in the cluster
  bool next_is_here, previous_is_here;  // in the same thread block
};

template <bool COLUMNS>
DEVICE void fetch(Chunk& chunk, u32 at, u32 message) {
  if (COLUMNS) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float x[R];
      load_rows(x, at + k * COLUMN_BYTES);
#pragma unroll
      for (int r = 0; r < R; ++r) chunk.x[r][k] = x[r];
    }
  } else {
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const float4 x = load4(at + r * ROW_BYTES);
      chunk.x[r][0] = x.x, chunk.x[r][1] = x.y, chunk.x[r][2] = x.z, chunk.x[r][3] = x.w;
    }
  }
  const float4 q = load4(message);
  const uint4 h = load4u(message + 16);
  chunk.above[0] = q.x, chunk.above[1] = q.y, chunk.above[2] = q.z, chunk.above[3] = q.w;
  chunk.above_h[0] = h.x, chunk.above_h[1] = h.y, chunk.above_h[2] = h.z, chunk.above_h[3] = h.w;
}

enum { INNER = 0, LEFT_EDGE = 1, BOTH_EDGES = 2 };

// -1 if the float is negative, else 0. A difference of floats has the sign of their order; predicates would do, but what
// waits for a predicate waits three times as long.
DEVICE u32 negative(float x) { return (u32)(__float_as_int(x) >> 31); }
DEVICE u32 choose(u32 mask, u32 one, u32 other) { return (mask & one) | (~mask & other); }

// One chunk: 4 columns of R rows. made: Q and history of the last row, one column before each.
// LEFT_EDGE: some cells lie left of the diagonal, whose first row is from_diagonal columns before the chunk.
// BOTH_EDGES: also, only the columns up to the chunk's number `left` belong to the item.
template <int EDGE>
DEVICE void advance(LaneState& lane_state, const Chunk& chunk, bool top, int from_diagonal, int left, float (&made)[4],
                    u32 (&made_h)[4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (top) lane_state.above[k] = chunk.above[k], lane_state.above_h[k] = chunk.above_h[k];
  float next[4];
  u32 next_h[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    made[k] = lane_state.q[R - 1];
    made_h[k] = lane_state.h[R - 1];
    from_lane_before(next[k], made[k]);
    from_lane_before(next_h[k], made_h[k]);
    const u32 bit = lane_state.bit << k;
    const u32 outside = (u32)((left - k) >> 31);
#pragma unroll
    for (int r = R - 1; r >= 0; --r) {
      float stay = lane_state.q[r], move = lane_state.above[k], score = chunk.x[r][k];
      u32 move_h = lane_state.above_h[k];
      if (r > 0) move = lane_state.q[r - 1], move_h = lane_state.h[r - 1];
      if (EDGE != INNER)
        score = __uint_as_float(choose((u32)((from_diagonal + k - r) >> 31), __float_as_uint(NEG_INF), __float_as_uint(score)));
      u32 moves = negative(__fsub_rn(stay, move));
      float best = __fadd_rn(max_nan(stay, move), score);
      if (EDGE == BOTH_EDGES) {
        moves &= ~outside;
        best = __uint_as_float(choose(outside, __float_as_uint(stay), __float_as_uint(best)));
      }
      lane_state.h[r] = choose(moves, move_h + bit, lane_state.h[r]);
      lane_state.q[r] = best;
    }
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) lane_state.above[k] = next[k], lane_state.above_h[k] = next_h[k];
  lane_state.bit = __funnelshift_l(lane_state.bit, lane_state.bit, 4);
}

// A stage of the outbox is complete: the next warp may read it.
DEVICE void hand_over(const Links& links, bool sends, int stage) {
  if (links.next_is_here) {
    arrive_if(sends, links.next_arrived + stage * 8);
  } else if (sends) {
    copy_in_cluster<INBOX_STAGE>(links.next_inbox + stage * INBOX_STAGE, links.outbox + stage * INBOX_STAGE,
                                 links.next_arrived + stage * 8);
  }
}

// Stage s is macro-steps 8 s - 1 to 8 s + 6. At the one of number n the lanes with lane % 8 = n come to the end of a
// block of 32 columns, all lanes read ahead for macro-step 8 s + n, which is what number n in inbox stage s is for, and
// the last lane makes number n of the next warp's stage s - 4 - R. COLUMNS: the ring has a column's rows side by side.
template <bool COLUMNS>
DEVICE void run_rows(const Arguments& a, const Item& item, const Share& share, int b, u32 ring, u32 barriers,
                     const Links& links, int lane, float* score) {
  const int last_lane = (share.rows - 1) / R;
  const int edge_from = share.has_next ? UNREACHED : (share.last_column / 4 + last_lane + 1) >> 3;
  const int messages = item.slack / 32 + 1;  // stages of boundary values a warp gets from the one above
  const int block_end = lane * R < share.rows ? history_blocks(item) : 0, pitch = history_pitch(item);
  const bool top = lane == 0;

  LaneState lane_state;
#pragma unroll
  for (int r = 0; r < R; ++r) lane_state.q[r] = NEG_INF, lane_state.h[r] = 0;
#pragma unroll
  for (int k = 0; k < 4; ++k) lane_state.above[k] = NEG_INF, lane_state.above_h[k] = 0;
  lane_state.bit = 1u << (4 * ((-1 - lane) & 7));

  constexpr int BLOCK_BYTES = COLUMNS ? 32 * COLUMN_BYTES : 128, CHUNK_FACTOR = COLUMNS ? ROWS : 1;
  const u32 rows_ring = ring + lane * R * (COLUMNS ? 4 : ROW_BYTES);
  int slot = (((-lane - 1) >> 3) + 8 * D) % D;  // of the block that the lane reads
  u32 block = rows_ring + slot * BLOCK_BYTES;
  int store_block = -1 - (lane >> 3);  // whose histories the lane stores during the stage
  u32* history = a.histories + b * a.history_words + (i64)store_block * pitch + share.row0 + lane * R;
  int from_diagonal = -4 - 4 * lane - lane * R, left = share.last_column + 4 + 4 * lane;

  Chunk even, odd;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    even.above[k] = NEG_INF, even.above_h[k] = 0;
#pragma unroll
    for (int r = 0; r < R; ++r) even.x[r][k] = NEG_INF;
  }
  int stage = 0, turn = 0;  // s % D, s / D
#pragma unroll 1
  for (int s = 0; s < share.stages; ++s) {
    const int sent = s - 4 - R;
    const bool sends_stage = share.has_next && sent >= 0 && sent < messages;
    const u32 loaded = barriers + stage * 8, parity = turn & 1;
    const bool receives = share.row0 > 0 && s < messages, needs_credit = sends_stage && sent >= INBOX;
    barrier_wait(loaded, parity, receives ? links.arrived + (s & (INBOX - 1)) * 8 : loaded,
                 receives ? (s / INBOX) & 1 : parity,
                 needs_credit ? links.credit + (sent & (INBOX - 1)) * 8 : loaded,
                 needs_credit ? (sent / INBOX - 1) & 1 : parity);
    const bool sends = sends_stage && lane == 31;
    slot = slot + 1 == D ? 0 : slot + 1;
    const u32 next_block = rows_ring + slot * BLOCK_BYTES;
    const bool stores = store_block >= 0 && store_block < block_end;
    u32 message = links.inbox + (s & (INBOX - 1)) * INBOX_STAGE, to = links.outbox + (sent & (INBOX - 1)) * INBOX_STAGE;
    u32 lane_16 = COLUMNS ? -16 * lane : 16 * lane;  // rows are rotated (`place`)
    int until_end = lane & 7;  // macro-steps until the lane's block ends
    float made[4];
    u32 made_h[4];
#define STEP(EDGE, NOW, THEN, N)                                              \
  {                                                                           \
    const bool ends_block = until_end == N;                                   \
    if (ends_block) block = next_block;                                       \
    fetch<COLUMNS>(THEN, block + ((lane_16 + 16 * N) & CHUNK_MASK) * CHUNK_FACTOR, message + MESSAGE_BYTES * N); \
    advance<EDGE>(lane_state, NOW, top, from_diagonal, left, made, made_h);            \
    store8_if(sends, to + MESSAGE_BYTES * N, made, made_h);                                \
    write_if(ends_block && stores, history, lane_state.h);                             \
    _Pragma("unroll") for (int r = 0; r < R; ++r) if (ends_block) lane_state.h[r] = 0; \
    from_diagonal += 4, left -= 4;                                            \
  }
#define STAGE(EDGE)                                         \
  _Pragma("unroll 1") for (int n = 0; n < 8; n += 2) {      \
    STEP(EDGE, even, odd, 0)                                \
    STEP(EDGE, odd, even, 1)                                \
    message += 2 * MESSAGE_BYTES, to += 2 * MESSAGE_BYTES, lane_16 += 32, until_end -= 2; \
  }
    if (s >= edge_from) {
      STAGE(BOTH_EDGES)
    } else if (s < 4 + R) {
      STAGE(LEFT_EDGE)
    } else {
      STAGE(INNER)
    }
#undef STAGE
#undef STEP
    ++store_block;
    history += pitch;
    __syncwarp();
    if (sends_stage) hand_over(links, sends, sent & (INBOX - 1));
    arrive_for_warp_if(true, top, barriers + (D + stage) * 8);
    if (++stage == D) stage = 0, ++turn;
    if (share.row0 == 0) {
      if (s == 0 && top) *(volatile float*)__cvta_shared_to_generic(links.inbox) = NEG_INF;  // only column 0 may start here
    } else if (s + INBOX < messages) {
      const int place = (s & (INBOX - 1)) * 8;
      if (links.previous_is_here) arrive_for_warp_if(true, top, links.previous_credit + place);
      else rearm_if<INBOX_STAGE>(top, links.arrived + place, links.previous_credit + place);
    }
    __syncwarp();
  }
  if (!share.has_next) {
#pragma unroll
    for (int r = 0; r < R; ++r)
      if (lane * R + r == share.rows - 1) *score = lane_state.q[r];
  }
}

// ---------------------------------------------------------------- the way back

DEVICE int window_width(const Arguments& a) { return min(WINDOW, (a.T + 3) & ~3); }

DEVICE void trace(const Arguments& a, const Item& item, int b, u32* windows, int* start) {
  const int threads = blockDim.x, tid = threadIdx.x, warp = tid >> 5, lane = tid & 31, warps = threads >> 5;
  const u32* histories = a.histories + b * a.history_words;
  const int pitch = history_pitch(item), held = history_blocks(item);
  const int blocks = (item.frames + 31) / 32;
  int i = item.tokens - 1;  // the row at the end of the tile's last block
  const int width = window_width(a);
  auto window_first = [](int row) { return max(0, (row & ~3) - TILE * 96); };
  auto prefetch = [&](int last, int first_row, u32* window) {
    for (int back = warp; back < TILE && back <= last; back += warps)
      for (int n = 4 * lane; n < width && first_row + n < pitch; n += 128) {
        const int block = last - back - (first_row + n) / ROWS * R;  // counted from its warp's row0
        if (block >= 0 && block < held)
          copy16(shared_address(window + back * width + n), histories + (i64)block * pitch + first_row + n);
      }
    copies_end_group();
  };
  u32 mine = 0;  // blocks of a tile whose moves this warp writes down
  for (int back = warp; back < TILE; back += warps) mine |= 1u << back;
  // Two tiles are on their way while one is walked. Where their windows start is known two tiles ahead.
  u32 *window = windows, *second = windows + TILE * width, *third = second + TILE * width;
  int first_row = window_first(i), second_first_row = first_row;
  prefetch(blocks - 1, first_row, window);
  prefetch(blocks - 1 - TILE, first_row, second);
#pragma unroll 1
  for (int last = blocks - 1; last >= 0; last -= TILE) {
    copies_wait<1>();
    __syncthreads();
    const int third_first_row = window_first(i);
    prefetch(last - 2 * TILE, third_first_row, third);
    const u32* histories_of_tile = window - first_row;
#pragma unroll
    for (int back = 0; back < TILE; ++back) {
      if (back > last) break;
      const u32 history = histories_of_tile[back * width + i];
      if (mine >> back & history >> lane & 1) start[i - __popc(history >> lane >> 1)] = (last - back) * 32 + lane;
      i -= __popc(history);
    }
    u32* free_window = window;
    window = second, second = third, third = free_window;
    first_row = second_first_row, second_first_row = third_first_row;
  }
  __syncthreads();
  i64* durations = a.durations + (i64)b * a.T;
  for (int r = tid; r < a.T; r += threads) {
    int end = r + 1 < item.tokens ? start[r + 1] : item.frames;
    durations[r] = r < item.tokens ? end - start[r] : 0;
  }
}

// ---------------------------------------------------------------- kernel

// Where a warp's scores come from: memory, or rings that the team of the cluster's thread blocks fills.
#ifdef GAUSSIAN
DEVICE void load(const Arguments& a, const Item& item, const Share& share, int b, u32 ring, u32 barriers, int lane,
                 const float* warp_ring, u32 produced, u32 freed) {
  const Source source = {(const char*)warp_ring, 0, 0, ALL_COLUMNS, true, produced, freed, tiles_of(item, share)};
  load_scores<ALIGNED_ROWS>(a, item, share, b, ring, barriers, lane, source);
}
#else
DEVICE void load(const Arguments& a, const Item& item, const Share& share, int b, u32 ring, u32 barriers, int lane) {
  const Source source = {a.scores + ELEMENT * (b * a.stride_b + share.row0 * (a.stride_i + a.stride_j)),
                         ELEMENT * a.stride_i, ELEMENT * a.stride_j, a.S - share.row0, false};
  if (a.loader == ALIGNED_ROWS) load_scores<ALIGNED_ROWS>(a, item, share, b, ring, barriers, lane, source);
  else if (a.loader == ROWS_ONE_BY_ONE) load_scores<ROWS_ONE_BY_ONE>(a, item, share, b, ring, barriers, lane, source);
  else if (a.loader == COLUMNS_ONE_BY_ONE) load_scores<COLUMNS_ONE_BY_ONE>(a, item, share, b, ring, barriers, lane, source);
  else load_scores<ALIGNED_COLUMNS>(a, item, share, b, ring, barriers, lane, source);
}
#endif

// grid: B clusters; block: what makes the scores if they are Gaussian, W dp warps, W loader warps. A warp's number says which
// of the four schedulers has it: where there are three dp warps, every fourth warp is a loader and the others have nothing to
// do, so that no dp warp shares its scheduler.
extern "C" __global__ void
#ifdef GAUSSIAN
__launch_bounds__(64 * W + TEAM, 1) search(const Arguments a, const Gaussians gaussians) {
  __shared__ u64 produced_barriers[2 * W];
  __shared__ int freed_quarters[MOST_WARPS];
#else
__launch_bounds__(64 * MOST_BLOCK_WARPS, 1) search(const Arguments a) {
  const bool spread = blockDim.x == THREADS_OF_THREE;
  const int W = spread ? 3 : blockDim.x / 64;
#endif
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ u64 all_barriers[MOST_BLOCK_WARPS * BARRIERS];
  __shared__ float score;

  unsigned char* const inboxes = shared + W * RING_BYTES;
  const int tid = threadIdx.x, lane = tid & 31;
  const int of_search = __shfl_sync(~0u, (tid - TEAM) >> 5, 0);  // the compiler then knows that it is one for the warp
#ifdef GAUSSIAN
  const bool searches = of_search >= 0, loads = of_search >= W;
  const int local = loads ? of_search - W : of_search;
#else
  const bool loads = spread ? of_search % 4 == 3 : of_search >= W, searches = !spread || loads || of_search < 3;
  const int local = !loads ? of_search : spread ? of_search / 4 : of_search - W;
#endif
  const int rank = cluster_rank(), size = cluster_size(), b = blockIdx.x / size;
  const Item item = read_item(a, b);

  for (int n = tid; n < W * BARRIERS; n += blockDim.x) {
    const int kind = n % BARRIERS;
    const bool of_warp = kind < 2 * D || (kind >= 2 * D + INBOX && n / BARRIERS < W - 1);  // not of another block's
    barrier_init(shared_address(all_barriers + n), kind < D ? 32 : of_warp ? VOICES : 1);
    if (n >= 2 * D && n < 2 * D + INBOX) barrier_expect(shared_address(all_barriers + n), INBOX_STAGE);  // filled by another block
  }
  for (int n = tid; n < INBOX_BYTES / 4; n += blockDim.x)  // above the first row: 0 before column 0, else nothing
    ((float*)inboxes)[n] = n & 4 ? 0.0f : (n == 0 ? 0.0f : NEG_INF);
#ifdef GAUSSIAN
  if (tid < 2 * W) barrier_init(shared_address(produced_barriers + tid), TEAM / 32);
  if (tid < MOST_WARPS) freed_quarters[tid] = 0;
#endif
  show_barriers_to_cluster();
  cluster_sync();

#ifdef GAUSSIAN
  float* const rings = (float*)a.scores + b * a.stride_b;
  const u32 produced = shared_address(produced_barriers), freed = shared_address(freed_quarters);
  if (!searches && item.fits)
    produce(gaussians, item, b, rings, produced, freed, inboxes + (W + 1) * INBOX_BYTES, tid);
#endif
  const int warp = rank * W + local;
  const Share share = share_of(item, warp);
  if (searches && item.fits && share.row0 < item.tokens) {
    const u32 ring = shared_address(shared) + local * RING_BYTES;
    const u32 barriers = shared_address(all_barriers + local * BARRIERS);
    if (loads) {
#ifdef GAUSSIAN
      load(a, item, share, b, ring, barriers, lane, rings + warp * RING_FLOATS, produced + 16 * local,
           in_block(freed + 4 * warp, min(lane, size - 1)));
#else
      load(a, item, share, b, ring, barriers, lane);
#endif
    } else {
      Links links;
      links.inbox = shared_address(inboxes + local * INBOX_BYTES);
      links.arrived = barriers + 2 * D * 8;
      links.credit = barriers + (2 * D + INBOX) * 8;
      links.next_is_here = local + 1 < W, links.previous_is_here = local > 0;
      links.outbox = links.inbox + INBOX_BYTES;  // the last warp's is the block's own
      if (links.next_is_here) {
        links.next_inbox = links.outbox;
        links.next_arrived = links.arrived + BARRIERS * 8;
      } else {
        links.next_inbox = in_block(shared_address(inboxes), min(rank + 1, size - 1));
        links.next_arrived = in_block(shared_address(all_barriers + 2 * D), min(rank + 1, size - 1));
      }
      links.previous_credit = links.previous_is_here
          ? links.credit - BARRIERS * 8
          : in_block(shared_address(all_barriers + (W - 1) * BARRIERS + 2 * D + INBOX), max(rank - 1, 0));
#ifndef GAUSSIAN
      if (a.loader == ALIGNED_COLUMNS) run_rows<true>(a, item, share, b, ring, barriers, links, lane, &score);
      else
#endif
        run_rows<false>(a, item, share, b, ring, barriers, links, lane, &score);
    }
  }
  __syncthreads();
  cluster_sync();

  if (rank != (item.fits ? (item.tokens - 1) / (W * ROWS) : 0)) return;
  const bool found = item.fits && fabsf(score) < -NEG_INF;
  if (found) {
    u32* windows = (u32*)shared;
    trace(a, item, b, windows, (int*)(windows + 3 * TILE * window_width(a)));
  } else {
    for (int r = tid; r < a.T; r += blockDim.x) a.durations[(i64)b * a.T + r] = -1;
  }
}
