// The search on cards with thread block clusters (Hopper and later). Compiled by hopper.py when first needed.
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
// block s - q at stage s and use it at stages s and s + 1.
//
// Way back. A cell's 32-bit history says at which columns of the current 32-column block the best path to that cell
// moved down a row; moving copies the history of the row above. Histories are stored at the end of each block, for blocks
// counted from row0 (1/32 of the size of the scores that a path can visit). The path then is: row at the end of the
// previous block = row - popcount(history), and the set bits are the columns at which its tokens start.

#ifndef R
#define R 2  // rows a lane
#endif
#ifndef D
#define D 4  // stages in a loader's ring; 2 of them are in use
#endif
#ifndef SCORE_TYPE
#define SCORE_TYPE 0  // 0 float32, 1 float16, 2 bfloat16
#endif

static_assert(R == 1 || R == 2 || R == 4, "histories are stored in one go");

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

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
  int loader;       // how scores are read: ALIGNED_ROWS, ROWS_ONE_BY_ONE or COLUMNS_ONE_BY_ONE
};

constexpr int ROWS = 32 * R;            // rows a warp
constexpr int ROW_BYTES = D * 128;      // a row's ring: D blocks of 32 floats
constexpr int RING_BYTES = ROWS * ROW_BYTES;
constexpr int INBOX = 8;               // stages of boundary values a warp can be ahead of the next; a power of two
constexpr int INBOX_BYTES = INBOX * 256;
constexpr int BARRIERS = 2 * D + 2 * INBOX;  // loaded[D], consumed[D], arrived[INBOX], credit[INBOX]
constexpr int TILE = 8;                 // blocks the way back looks ahead
constexpr int WINDOW = TILE * 96 + 4;   // rows that the path can be in during this tile and the two before
#define NEVER __int_as_float(0xff800000)  // -inf

#define DEVICE static __device__ __forceinline__

DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
DEVICE u32 cluster_rank() { u32 r; asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
DEVICE u32 cluster_size() { u32 r; asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(r)); return r; }
DEVICE u32 in_block(u32 address, u32 rank) {
  u32 r;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(address), "r"(rank));
  return r;
}
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
DEVICE void barrier_init(u32 barrier, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
DEVICE void barrier_arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
DEVICE void arrive_if(bool wanted, u32 barrier) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %1, 0;\n"
      "@wanted mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(barrier), "r"((u32)wanted) : "memory");
}
// An inbox stage is free again: get its barrier ready, then tell the warp that fills it.
DEVICE void rearm_if(bool wanted, u32 barrier, u32 credit) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %2, 0;\n"
      "@wanted mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 256;\n"
      "@wanted mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%1];\n}" ::"r"(barrier), "r"(credit),
      "r"((u32)wanted) : "memory");
}
DEVICE void barrier_expect(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
DEVICE void barrier_wait(u32 barrier, u32 parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(barrier), "r"(parity) : "memory");
}
// The same between the thread blocks of a cluster.
DEVICE void arrive_in_cluster(u32 barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
DEVICE void barrier_wait_for_cluster(u32 barrier, u32 parity) {
  asm volatile(  // each look that acquires empties the first-level cache: only the last does
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.relaxed.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n}" ::"r"(barrier), "r"(parity) : "memory");
}
DEVICE void store_in_cluster(u32 to, int value) {
  asm volatile("st.release.cluster.shared::cluster.u32 [%0], %1;" ::"r"(to), "r"(value) : "memory");
}
// For those who write afterwards: what they would overwrite has been read.
DEVICE int load_in_cluster(u32 from) {
  int value;
  asm volatile("ld.relaxed.cluster.shared::cta.u32 %0, [%1];" : "=r"(value) : "r"(from) : "memory");
  return value;
}
// Waits for three barriers at the price of one.
DEVICE void barrier_wait(u32 a, u32 parity_a, u32 b, u32 parity_b, u32 c, u32 parity_c) {
  asm volatile(
      "{\n.reg .pred a, b, c;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 a, [%0], %1;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 b, [%2], %3;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 c, [%4], %5;\n"
      "and.pred a, a, b;\nand.pred a, a, c;\n@!a bra again;\n}" ::"r"(a), "r"(parity_a), "r"(b), "r"(parity_b),
      "r"(c), "r"(parity_c) : "memory");
}
DEVICE float4 load4(u32 address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address));
  return v;
}
DEVICE uint4 load4u(u32 address) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(address));
  return v;
}
DEVICE void store4(u32 address, float a, float b, float c, float d) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(a), "f"(b), "f"(c), "f"(d) : "memory");
}
DEVICE float max_nan(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}

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
  Share w;
  w.row0 = warp * ROWS;
  w.rows = min(ROWS, item.tokens - w.row0);
  w.has_next = w.row0 + ROWS < item.tokens;
  w.last_column = w.has_next ? 0x3fffffff : item.slack + w.rows - 1;
  const int last_lane = (w.rows - 1) / R;
  w.stages = w.has_next ? item.slack / 32 + 5 + R : w.last_column / 32 + last_lane / 8 + 2;
  return w;
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

// ---------------------------------------------------------------- loader warps

// Column chunks of a row are rotated in its 128 bytes, so that neither side meets bank conflicts worth the name.
DEVICE int place(int row, int chunk) { return ((chunk + 2 * (row / R)) & 7) * 16; }

DEVICE void arrive_when_copied(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}

#if SCORE_TYPE == 0
DEVICE void copy16(u32 to, const char* from, int bytes) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void copy16(u32 to, const char* from) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
DEVICE void copy4(u32 to, const char* from) {
  asm volatile("cp.async.ca.shared.global.L2::256B [%0], [%1], 4;" ::"r"(to), "l"(from) : "memory");
}
constexpr int ELEMENT = 4;
#else
constexpr int ELEMENT = 2;
DEVICE float widen(u32 bits) {
#if SCORE_TYPE == 1
  float f;
  asm("{\n.reg .b16 h;\ncvt.u16.u32 h, %1;\ncvt.f32.f16 %0, h;\n}" : "=f"(f) : "r"(bits & 0xffff));
  return f;
#else
  return __uint_as_float(bits << 16);
#endif
}
DEVICE u32 read2(const char* from) {
  unsigned short v;
  asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(v) : "l"(from));
  return v;
}
DEVICE uint2 read8(const char* from) {
  uint2 v;
  asm volatile("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(from));
  return v;
}
DEVICE void store1(u32 address, float v) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory");
}
#endif

enum { ALIGNED_ROWS = 0, ROWS_ONE_BY_ONE = 1, COLUMNS_ONE_BY_ONE = 2 };

// Where a warp's scores are.
struct Source {
  const char* of_row0;  // at its row0 and that row's first column
  i64 step_i, step_j;   // bytes
  int columns;          // that exist
  // If the scores are made as the search goes: barriers of the two tiles of 128 columns that exist at a time, and where each
  // lane is to write, in another thread block, how many quarter tiles are done with.
  bool ring;
  u32 produced, freed;
  int tiles;
};

// A group is 8 * R rows of 32 columns. ALIGNED_ROWS: 8 lanes a row, 4 rows at a time; ROWS_ONE_BY_ONE: a column a lane,
// a row at a time; COLUMNS_ONE_BY_ONE: 8 rows of 4 columns at a time.
template <int KIND>
DEVICE void load_scores(const Arguments& a, const Item& item, const Share& w, int b, u32 ring, u32 barriers, int lane,
                        const Source& source) {
  const char* origin = source.of_row0;
  const i64 step_i = source.step_i, step_j = source.step_j;
  const int slack = item.slack;
  const int columns = source.columns;  // that exist
  const int di = KIND == ALIGNED_ROWS ? lane >> 3 : KIND == ROWS_ONE_BY_ONE ? 0 : lane & 7;  // the lane's first row
  const int dj = KIND == ALIGNED_ROWS ? (lane & 7) * 4 : KIND == ROWS_ONE_BY_ONE ? lane : lane >> 3;  // and column
  constexpr int READS = KIND == ALIGNED_ROWS ? 2 * R : 8 * R;
  u32 places[8];  // of the lane's first cell, by how far its chunk is moved on
#pragma unroll
  for (int n = 0; n < 8; ++n) places[n] = di * ROW_BYTES + place(di, (dj >> 2) + n) + (dj & 3) * 4;
  int slot = 0, turn = 0;
#pragma unroll 1
  for (int s = 0; s < w.stages; ++s) {
    if (s >= D - 1) {  // wait until stage s - D + 1 is consumed: lanes read their slots from stage 0 on
      const int next = slot + 1 == D ? 0 : slot + 1;
      barrier_wait(barriers + (D + next) * 8, (turn - (next > 0)) & 1);
    }
    if (source.ring && s % 4 == 0 && s / 4 < source.tiles)
      barrier_wait_for_cluster(source.produced + s / 4 % 2 * 8, s / 8 & 1);
#pragma unroll 1
    for (int q = 0; q < 4; ++q) {
      const int block = s - q;
      const int first = q * 8 * R;
      // skip what no path visits: left of the diagonal, right of the last column from which the end can be reached
      if (block < 0 || block * 32 + 31 < first || block * 32 > slack + first + 8 * R - 1 || first >= w.rows) continue;
      const bool inside = block * 32 >= first + 8 * R - 1 && block * 32 + 31 <= slack + first &&
                          first + 8 * R <= w.rows && columns >= block * 32 + 32;
      int block_slot = slot - q;
      if (block_slot < 0) block_slot += D;
      if (block_slot < 0) block_slot += D;
      const u32 to = ring + block_slot * 128 + first * ROW_BYTES;
      const char* from = source.ring ? origin + (block % QUARTERS * QUARTER_FLOATS + place_in_quarter(first + di, dj)) * 4
                                     : origin + (first + di) * step_i + (block * 32 + dj) * step_j;
      // limits of what this lane may read, counted from its own first cell
      const int above = block * 32 + dj - first - di, below = slack - above, rows = w.rows - first - di;
      const int there = columns - block * 32 - dj;

      // read n of the group: its row and column from the lane's first cell, and its place in the ring
      auto row = [](int n) { return KIND == ALIGNED_ROWS ? 4 * n : KIND == ROWS_ONE_BY_ONE ? n : n / 8 * 8; };
      auto column = [](int n) { return KIND == COLUMNS_ONE_BY_ONE ? n % 8 * 4 : 0; };
      auto at = [&](int n) { return to + row(n) * ROW_BYTES + places[(2 * (row(n) / R) + column(n) / 4) & 7]; };
      auto wanted = [&](int n) {
        return above + column(n) + (KIND == ALIGNED_ROWS ? 3 : 0) >= row(n) && column(n) - row(n) <= below && row(n) < rows;
      };
      auto go_on = [&](int n) {
        if (source.ring) from += (place_in_quarter(4 * n + 4, 0) - place_in_quarter(4 * n, 0)) * 4;
        else if (KIND == ALIGNED_ROWS) from += 4 * step_i;
        else if (KIND == ROWS_ONE_BY_ONE) from += step_i;
        else from += n % 8 < 7 ? 4 * step_j : 8 * step_i - 28 * step_j;
      };
#if SCORE_TYPE == 0
      if (inside) {
#pragma unroll
        for (int n = 0; n < READS; ++n) {
          if (KIND == ALIGNED_ROWS) copy16(at(n), from);
          else copy4(at(n), from);
          go_on(n);
        }
      } else {
#pragma unroll
        for (int n = 0; n < READS; ++n) {
          if (wanted(n)) {
            if (KIND == ALIGNED_ROWS) copy16(at(n), from, min(16, 4 * there));
            else copy4(at(n), from);
          }
          go_on(n);
        }
      }
#else
      constexpr int BATCH = READS < 16 ? READS : 16;
#pragma unroll 1
      for (int n0 = 0; n0 < READS; n0 += BATCH) {
        uint2 v[BATCH];
        const u32 to_batch = row(n0) * ROW_BYTES;
#pragma unroll
        for (int n = 0; n < BATCH; ++n) {
          v[n] = make_uint2(0, 0);
          const bool one = inside || (above + column(n) + (KIND == ALIGNED_ROWS ? 3 : 0) >= row(n) + row(n0) &&
                                      column(n) - row(n) - row(n0) <= below && row(n) + row(n0) < rows);
          if (KIND == ALIGNED_ROWS) {
            if (one && there >= 4) {
              v[n] = read8(from);
            } else if (one) {
              v[n].x = read2(from);
              if (there >= 2) v[n].x |= read2(from + 2) << 16;
              if (there >= 3) v[n].y = read2(from + 4);
            }
          } else if (one) {
            v[n].x = read2(from);
          }
          go_on(n);
        }
#pragma unroll
        for (int n = 0; n < BATCH; ++n) {
          if (KIND == ALIGNED_ROWS)
            store4(at(n) + to_batch, widen(v[n].x & 0xffff), widen(v[n].x >> 16), widen(v[n].y & 0xffff),
                   widen(v[n].y >> 16));
          else
            store1(at(n) + to_batch, widen(v[n].x));
        }
      }
#endif
    }
#if SCORE_TYPE == 0
    arrive_when_copied(barriers + slot * 8);
    if (source.ring && s >= 3) {  // a quarter tile is done with when the copies of the third stage after its own have ended
      asm volatile("cp.async.wait_all;" ::: "memory");
      __syncwarp();
      if (lane < cluster_size()) store_in_cluster(source.freed, s - 2);
    }
#else
    barrier_arrive(barriers + slot * 8);
#endif
    if (++slot == D) slot = 0, ++turn;
  }
}

// ---------------------------------------------------------------- dp warps

// One warp has a scheduler nearly to itself, so what it issues and waits for is what counts: a stage of 8 macro-steps is
// straight code in which lanes differ by predicates only.

struct Lane {
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

DEVICE void fetch(Chunk& f, u32 at, u32 message) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const float4 x = load4(at + r * ROW_BYTES);
    f.x[r][0] = x.x, f.x[r][1] = x.y, f.x[r][2] = x.z, f.x[r][3] = x.w;
  }
  const float4 q = load4(message);
  const uint4 h = load4u(message + 16);
  f.above[0] = q.x, f.above[1] = q.y, f.above[2] = q.z, f.above[3] = q.w;
  f.above_h[0] = h.x, f.above_h[1] = h.y, f.above_h[2] = h.z, f.above_h[3] = h.w;
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
DEVICE void advance(Lane& v, const Chunk& f, bool top, int from_diagonal, int left, float (&made)[4], u32 (&made_h)[4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (top) v.above[k] = f.above[k], v.above_h[k] = f.above_h[k];
  float next[4];
  u32 next_h[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    made[k] = v.q[R - 1];
    made_h[k] = v.h[R - 1];
    asm volatile("shfl.sync.up.b32 %0, %1, 1, 0, -1;" : "=f"(next[k]) : "f"(made[k]));
    asm volatile("shfl.sync.up.b32 %0, %1, 1, 0, -1;" : "=r"(next_h[k]) : "r"(made_h[k]));
    const u32 bit = v.bit << k;
    const u32 outside = (u32)((left - k) >> 31);
#pragma unroll
    for (int r = R - 1; r >= 0; --r) {
      float stay = v.q[r], move = v.above[k], score = f.x[r][k];
      u32 move_h = v.above_h[k];
      if (r > 0) move = v.q[r - 1], move_h = v.h[r - 1];
      if (EDGE != INNER)
        score = __uint_as_float(choose((u32)((from_diagonal + k - r) >> 31), __float_as_uint(NEVER), __float_as_uint(score)));
      u32 moves = negative(__fsub_rn(stay, move));
      float best = __fadd_rn(max_nan(stay, move), score);
      if (EDGE == BOTH_EDGES) {
        moves &= ~outside;
        best = __uint_as_float(choose(outside, __float_as_uint(stay), __float_as_uint(best)));
      }
      v.h[r] = choose(moves, move_h + bit, v.h[r]);
      v.q[r] = best;
    }
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) v.above[k] = next[k], v.above_h[k] = next_h[k];
  v.bit = __funnelshift_l(v.bit, v.bit, 4);
}

DEVICE void send_if(bool wanted, u32 to, const float (&q)[4], const u32 (&h)[4]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.shared.v4.f32 [%1], {%2, %3, %4, %5};\n"
      "@wanted st.shared.v4.u32 [%1 + 16], {%6, %7, %8, %9};\n}" ::"r"((u32)wanted), "r"(to), "f"(q[0]), "f"(q[1]),
      "f"(q[2]), "f"(q[3]), "r"(h[0]), "r"(h[1]), "r"(h[2]), "r"(h[3]) : "memory");
}

DEVICE void store_if(bool wanted, u32* to, const u32 (&h)[R]) {
#if R == 4
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.v4.u32 [%1], {%2, %3, %4, %5};\n}" ::"r"((u32)wanted), "l"(to), "r"(h[0]), "r"(h[1]),
      "r"(h[2]), "r"(h[3]) : "memory");
#elif R == 2
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.v2.u32 [%1], {%2, %3};\n}" ::"r"((u32)wanted), "l"(to), "r"(h[0]), "r"(h[1]) : "memory");
#else
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.u32 [%1], %2;\n}" ::"r"((u32)wanted), "l"(to), "r"(h[0]) : "memory");
#endif
}

// A stage of the outbox is complete: the next warp may read it.
DEVICE void hand_over(const Links& links, bool sends, int stage) {
  if (links.next_is_here) {
    arrive_if(sends, links.next_arrived + stage * 8);
  } else if (sends) {
    asm volatile(
        "fence.proxy.async.shared::cta;\n"
        "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" ::"r"(
            links.next_inbox + stage * 256), "r"(links.outbox + stage * 256), "r"(links.next_arrived + stage * 8) : "memory");
  }
}

// Stage s is macro-steps 8 s - 1 to 8 s + 6. At the one of number n the lanes with lane % 8 = n come to the end of a
// block of 32 columns, all lanes read ahead for macro-step 8 s + n, which is what number n in inbox stage s is for, and
// the last lane makes number n of the next warp's stage s - 4 - R.
DEVICE void run_rows(const Arguments& a, const Item& item, const Share& w, int b, u32 ring, u32 barriers,
                     const Links& links, int lane, float* score) {
  const int last_lane = (w.rows - 1) / R;
  const int edge_from = w.has_next ? 0x3fffffff : (w.last_column / 4 + last_lane + 1) >> 3;
  const int messages = item.slack / 32 + 1;  // stages of boundary values a warp gets from the one above
  const int block_end = lane * R < w.rows ? history_blocks(item) : 0, pitch = history_pitch(item);
  const bool top = lane == 0;

  Lane v;
#pragma unroll
  for (int r = 0; r < R; ++r) v.q[r] = NEVER, v.h[r] = 0;
#pragma unroll
  for (int k = 0; k < 4; ++k) v.above[k] = NEVER, v.above_h[k] = 0;
  v.bit = 1u << (4 * ((-1 - lane) & 7));

  const u32 rows_ring = ring + lane * R * ROW_BYTES;
  int slot = (((-lane - 1) >> 3) + 8 * D) % D;  // of the block that the lane reads
  u32 block = rows_ring + slot * 128;
  int store_block = -1 - (lane >> 3);  // whose histories the lane stores during the stage
  u32* history = a.histories + b * a.history_words + (i64)store_block * pitch + w.row0 + lane * R;
  int from_diagonal = -4 - 4 * lane - lane * R, left = w.last_column + 4 + 4 * lane;

  Chunk even, odd;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    even.above[k] = NEVER, even.above_h[k] = 0;
#pragma unroll
    for (int r = 0; r < R; ++r) even.x[r][k] = NEVER;
  }
  int stage = 0, turn = 0;  // s % D, s / D
#pragma unroll 1
  for (int s = 0; s < w.stages; ++s) {
    const int sent = s - 4 - R;
    const bool sends_stage = w.has_next && sent >= 0 && sent < messages;
    const u32 loaded = barriers + stage * 8, parity = turn & 1;
    const bool receives = w.row0 > 0 && s < messages, needs_credit = sends_stage && sent >= INBOX;
    barrier_wait(loaded, parity, receives ? links.arrived + (s & (INBOX - 1)) * 8 : loaded,
                 receives ? (s / INBOX) & 1 : parity,
                 needs_credit ? links.credit + (sent & (INBOX - 1)) * 8 : loaded,
                 needs_credit ? (sent / INBOX - 1) & 1 : parity);
    const bool sends = sends_stage && lane == 31;
    slot = slot + 1 == D ? 0 : slot + 1;
    const u32 next_block = rows_ring + slot * 128;
    const bool stores = store_block >= 0 && store_block < block_end;
    u32 message = links.inbox + (s & (INBOX - 1)) * 256, to = links.outbox + (sent & (INBOX - 1)) * 256;
    u32 lane_16 = 16 * lane;
    int until_end = lane & 7;  // macro-steps until the lane's block ends
    float made[4];
    u32 made_h[4];
#define STEP(EDGE, NOW, THEN, N)                                              \
  {                                                                           \
    const bool ends_block = until_end == N;                                   \
    if (ends_block) block = next_block;                                       \
    fetch(THEN, block + ((lane_16 + 16 * N) & 0x70), message + 32 * N);       \
    advance<EDGE>(v, NOW, top, from_diagonal, left, made, made_h);            \
    send_if(sends, to + 32 * N, made, made_h);                                \
    store_if(ends_block && stores, history, v.h);                             \
    _Pragma("unroll") for (int r = 0; r < R; ++r) if (ends_block) v.h[r] = 0; \
    from_diagonal += 4, left -= 4;                                            \
  }
#define STAGE(EDGE)                                         \
  _Pragma("unroll 1") for (int n = 0; n < 8; n += 2) {      \
    STEP(EDGE, even, odd, 0)                                \
    STEP(EDGE, odd, even, 1)                                \
    message += 64, to += 64, lane_16 += 32, until_end -= 2; \
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
    arrive_if(top, barriers + (D + stage) * 8);
    if (++stage == D) stage = 0, ++turn;
    if (w.row0 == 0) {
      if (s == 0 && top) *(volatile float*)__cvta_shared_to_generic(links.inbox) = NEVER;  // only column 0 may start here
    } else if (s + INBOX < messages) {
      const int place = (s & (INBOX - 1)) * 8;
      if (links.previous_is_here) arrive_if(top, links.previous_credit + place);
      else rearm_if(top, links.arrived + place, links.previous_credit + place);
    }
    __syncwarp();
  }
  if (!w.has_next) {
#pragma unroll
    for (int r = 0; r < R; ++r)
      if (lane * R + r == w.rows - 1) *score = v.q[r];
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
          asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(window + back * width + n)),
                       "l"(histories + (i64)block * pitch + first_row + n) : "memory");
      }
    asm volatile("cp.async.commit_group;" ::: "memory");
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
    asm volatile("cp.async.wait_group 1;" ::: "memory");
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

// grid: B clusters; block: what makes the scores if they are Gaussian, W dp warps, W loader warps
extern "C" __global__ void
#ifdef GAUSSIAN
__launch_bounds__(64 * W + TEAM, 1) search(const Arguments a, const Gaussians gaussians) {
  __shared__ u64 produced_barriers[2 * W];
  __shared__ int freed_quarters[MOST_WARPS];
#else
__launch_bounds__(512, 1) search(const Arguments a) {
  const int W = blockDim.x / 64;
#endif
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ u64 all_barriers[8 * BARRIERS];
  __shared__ float score;

  unsigned char* const inboxes = shared + W * RING_BYTES;
  const int tid = threadIdx.x, lane = tid & 31;
  const int of_search = __shfl_sync(~0u, (tid - TEAM) >> 5, 0);  // the compiler then knows that it is one for the warp
  const bool searches = of_search >= 0, loads = of_search >= W;
  const int local = loads ? of_search - W : of_search;
  const int rank = cluster_rank(), size = cluster_size(), b = blockIdx.x / size;
  const Item item = read_item(a, b);

  for (int n = tid; n < W * BARRIERS; n += blockDim.x) {
    const int kind = n % BARRIERS;
    barrier_init(shared_address(all_barriers + n), kind < D ? 32 : 1);
    if (n >= 2 * D && n < 2 * D + INBOX) barrier_expect(shared_address(all_barriers + n), 256);  // filled by another block
  }
  for (int n = tid; n < INBOX_BYTES / 4; n += blockDim.x)  // above the first row: 0 before column 0, else nothing
    ((float*)inboxes)[n] = n & 4 ? 0.0f : (n == 0 ? 0.0f : NEVER);
#ifdef GAUSSIAN
  if (tid < 2 * W) barrier_init(shared_address(produced_barriers + tid), TEAM / 32);
  if (tid < MOST_WARPS) freed_quarters[tid] = 0;
#endif
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  cluster_sync();

#ifdef GAUSSIAN
  float* const rings = (float*)a.scores + b * a.stride_b;
  const u32 produced = shared_address(produced_barriers), freed = shared_address(freed_quarters);
  if (!searches && item.fits)
    produce(gaussians, item, b, rings, produced, freed, inboxes + (W + 1) * INBOX_BYTES, tid);
#endif
  const int warp = rank * W + local;
  const Share w = share_of(item, warp);
  if (searches && item.fits && w.row0 < item.tokens) {
    const u32 ring = shared_address(shared) + local * RING_BYTES;
    const u32 barriers = shared_address(all_barriers + local * BARRIERS);
    if (loads) {
#ifdef GAUSSIAN
      const Source source = {(const char*)(rings + warp * RING_FLOATS), 0, 0, 1 << 28, true,
                             produced + 16 * local, in_block(freed + 4 * warp, min(lane, size - 1)), tiles_of(item, w)};
      load_scores<ALIGNED_ROWS>(a, item, w, b, ring, barriers, lane, source);
#else
      const Source source = {a.scores + ELEMENT * (b * a.stride_b + w.row0 * (a.stride_i + a.stride_j)),
                             ELEMENT * a.stride_i, ELEMENT * a.stride_j, a.S - w.row0, false};
      if (a.loader == ALIGNED_ROWS) load_scores<ALIGNED_ROWS>(a, item, w, b, ring, barriers, lane, source);
      else if (a.loader == ROWS_ONE_BY_ONE) load_scores<ROWS_ONE_BY_ONE>(a, item, w, b, ring, barriers, lane, source);
      else load_scores<COLUMNS_ONE_BY_ONE>(a, item, w, b, ring, barriers, lane, source);
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
      run_rows(a, item, w, b, ring, barriers, links, lane, &score);
    }
  }
  __syncthreads();
  cluster_sync();

  if (rank != (item.fits ? (item.tokens - 1) / (W * ROWS) : 0)) return;
  const bool found = item.fits && fabsf(score) < -NEVER;
  if (found) {
    u32* windows = (u32*)shared;
    trace(a, item, b, windows, (int*)(windows + 3 * TILE * window_width(a)));
  } else {
    for (int r = tid; r < a.T; r += blockDim.x) a.durations[(i64)b * a.T + r] = -1;
  }
}
