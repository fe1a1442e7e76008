// The loader warps of search.cu: scores from memory, or from the rings of gaussian.cu, into the rings of the warps that search.

#include "score_type.cuh"

// Column chunks of a row are rotated in its 128 bytes, so that neither side meets bank conflicts worth the name.
DEVICE int place(int row, int chunk) { return ((chunk + 2 * (row / R)) & 7) * 16; }

#if SCORE_TYPE != FLOAT32
DEVICE void read_halves(u32 (&v)[1], const char* from) { v[0] = read2_bytes(from); }
DEVICE void read_halves(u32 (&v)[2], const char* from) {
  const uint2 four = read8_bytes(from);
  v[0] = four.x, v[1] = four.y;
}
#endif

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

// What a lane reads of a group of rows and columns.
struct Group {
  bool inside;           // every cell can be visited
  u32 to;                // the group's place in the ring
  const char* from;      // the lane's next cell
  // limits of what it may read, counted from its first cell
  int above, below, rows;
  int there;             // columns that exist; for ALIGNED_COLUMNS tokens
};

// A group is 8 * R rows of 32 columns. ALIGNED_ROWS: 8 lanes a row, 4 rows at a time; ROWS_ONE_BY_ONE: a column a lane,
// a row at a time; COLUMNS_ONE_BY_ONE: 8 rows of 4 columns at a time; ALIGNED_COLUMNS: 2 * R lanes a column, 4 rows each.
template <int KIND>
DEVICE void load_scores(const Arguments& a, const Item& item, const Share& share, int b, u32 ring, u32 barriers, int lane,
                        const Source& source) {
  const char* origin = source.of_row0;
  const i64 step_i = source.step_i, step_j = source.step_j;
  const int slack = item.slack;
  const int columns = source.columns;  // that exist
  constexpr bool FOURS = KIND == ALIGNED_ROWS || KIND == ALIGNED_COLUMNS;  // of neighbours are one read
  constexpr int READS = FOURS ? 2 * R : 8 * R;
  // the lane's first row and column
  const int di = KIND == ALIGNED_ROWS ? lane >> 3 : KIND == ROWS_ONE_BY_ONE ? 0 : KIND == COLUMNS_ONE_BY_ONE ? lane & 7
                                                                                  : lane % (2 * R) * 4;
  const int dj = KIND == ALIGNED_ROWS ? (lane & 7) * 4 : KIND == ROWS_ONE_BY_ONE ? lane : KIND == COLUMNS_ONE_BY_ONE ? lane >> 3
                                                                                  : lane / (2 * R);
  u32 places[8];  // of the lane's first cell, by how far its chunk is moved on
#pragma unroll
  for (int n = 0; n < 8; ++n) places[n] = di * ROW_BYTES + place(di, (dj >> 2) + n) + (dj & 3) * 4;
  // read n of a group: its row and column from the lane's first cell, and its place in the ring
  auto row = [](int n) { return KIND == ALIGNED_ROWS ? 4 * n : KIND == ROWS_ONE_BY_ONE ? n : KIND == COLUMNS_ONE_BY_ONE ? n / 8 * 8 : 0; };
  auto column = [](int n) { return KIND == COLUMNS_ONE_BY_ONE ? n % 8 * 4 : KIND == ALIGNED_COLUMNS ? n * (16 / R) : 0; };
  auto at = [&](const Group& g, int n) {
    if (KIND == ALIGNED_COLUMNS) return g.to + (dj + column(n)) * COLUMN_BYTES + di * 4;
    return g.to + row(n) * ROW_BYTES + places[(2 * (row(n) / R) + column(n) / 4) & 7];
  };
  auto place_of = [&](const Group& g, int n) {  // the same where n is not known beforehand
    if (KIND == ALIGNED_COLUMNS) return at(g, n);
    return g.to + (di + row(n)) * ROW_BYTES + place(di + row(n), (dj + column(n)) >> 2) + (dj & 3) * 4;
  };
  auto wanted = [&](const Group& g, int n) {
    return g.above + column(n) + (KIND == ALIGNED_ROWS ? 3 : 0) >= row(n) && column(n) - row(n) <= g.below && row(n) < g.rows;
  };
  auto go_on = [&](Group& g, int n) {
    if (source.ring) g.from += (place_in_quarter(4 * n + 4, 0) - place_in_quarter(4 * n, 0)) * 4;
    else if (KIND == ALIGNED_ROWS) g.from += 4 * step_i;
    else if (KIND == ROWS_ONE_BY_ONE) g.from += step_i;
    else if (KIND == ALIGNED_COLUMNS) g.from += 16 / R * step_j;
    else g.from += n % 8 < 7 ? 4 * step_j : 8 * step_i - 28 * step_j;
  };
  int slot = 0, turn = 0;
  auto in_ring = [&](int q) {  // group q of the stage
    int block_slot = slot - q;
    if (block_slot < 0) block_slot += D;
    if (block_slot < 0) block_slot += D;
    const int first = q * 8 * R;
    return ring + (KIND == ALIGNED_COLUMNS ? block_slot * 32 * COLUMN_BYTES + first * 4 : block_slot * 128 + first * ROW_BYTES);
  };
  // Group q of stage s. False where no path visits it: left of the diagonal, right of the last column from which the end can be
  // reached.
  auto visited = [&](Group& g, int s, int q) {
    const int block = s - q, first = q * 8 * R;
    if (block < 0 || block * 32 + 31 < first || block * 32 > slack + first + 8 * R - 1 || first >= share.rows) return false;
    g.inside = block * 32 >= first + 8 * R - 1 && block * 32 + 31 <= slack + first && first + 8 * R <= share.rows &&
               columns >= block * 32 + 32;
    g.to = in_ring(q);
    g.from = source.ring ? origin + (block % QUARTERS * QUARTER_FLOATS + place_in_quarter(first + di, dj)) * 4
                         : origin + (first + di) * step_i + (block * 32 + dj) * step_j;
    g.above = block * 32 + dj - first - di, g.below = slack - g.above, g.rows = share.rows - first - di;
    g.there = columns - block * 32 - dj;
    if (KIND == ALIGNED_COLUMNS) g.below = min(g.below + 3, g.there - 1), g.there = a.T - share.row0 - first - di;
    return true;
  };
  auto wait_for_room = [&](int s) {  // until stage s - D + 1 is consumed: lanes read their slots from stage 0 on
    if (s < D - 1) return;
    const int next = slot + 1 == D ? 0 : slot + 1;
    barrier_wait(barriers + (D + next) * 8, (turn - (next > 0)) & 1);
  };
#pragma unroll 1
  for (int s = 0; s < share.stages; ++s) {
#if SCORE_TYPE == FLOAT32
    wait_for_room(s);
    if (source.ring && s % 4 == 0 && s / 4 < source.tiles)
      barrier_wait_for_cluster(source.produced + s / 4 % 2 * 8, s / 8 & 1);
#pragma unroll 1
    for (int q = 0; q < 4; ++q) {
      Group g;
      if (!visited(g, s, q)) continue;
      if (g.inside) {
#pragma unroll
        for (int n = 0; n < READS; ++n) {
          if (FOURS) copy16(at(g, n), g.from);
          else copy4(at(g, n), g.from);
          go_on(g, n);
        }
      } else {
#pragma unroll
        for (int n = 0; n < READS; ++n) {
          if (wanted(g, n)) {
            if (FOURS) copy16(at(g, n), g.from, min(16, 4 * g.there));
            else copy4(at(g, n), g.from);
          }
          go_on(g, n);
        }
      }
    }
    arrive_when_copied(barriers + slot * 8);
    if (source.ring && s >= 3) {  // a quarter tile is done with when the copies of the third stage after its own have ended
      copies_wait();
      __syncwarp();
      if (lane < cluster_size()) store_in_cluster(source.freed, s - 2);
    }
#else
    // Half types go through registers, as many groups at a time as there are registers for, since each takes as long as memory
    // does. They are read before there is room for them in the ring.
    constexpr int WORDS = FOURS ? 2 : 1, AT_ONCE = 4 * READS * WORDS <= 64 ? 4 : 2;
#pragma unroll 1
    for (int q = 0; q < 4; q += AT_ONCE) {
      u32 v[AT_ONCE][READS][WORDS], some = 0;
#pragma unroll
      for (int k = 0; k < AT_ONCE; ++k) {
        Group g;
        if (!visited(g, s, q + k)) continue;
        some |= 1 << k;
        if (g.inside) {
#pragma unroll
          for (int n = 0; n < READS; ++n) {
            read_halves(v[k][n], g.from);
            go_on(g, n);
          }
        } else {
#pragma unroll
          for (int n = 0; n < READS; ++n) {
            for (int word = 0; word < WORDS; ++word) v[k][n][word] = 0;
            if (wanted(g, n) && (!FOURS || g.there >= 4)) read_halves(v[k][n], g.from);
            go_on(g, n);
          }
        }
      }
      if (q == 0) wait_for_room(s);
#pragma unroll
      for (int k = 0; k < AT_ONCE; ++k) {
        if (!(some >> k & 1)) continue;
        Group g;
        g.to = in_ring(q + k);
#pragma unroll
        for (int n = 0; n < READS; ++n) {
          const u32* const halves = v[k][n];
          if (FOURS)
            store4(at(g, n), widen(halves[0] & 0xffff), widen(halves[0] >> 16), widen(halves[WORDS - 1] & 0xffff),
                   widen(halves[WORDS - 1] >> 16));
          else
            store1(at(g, n), widen(halves[0]));
        }
      }
    }
    if (FOURS && ((KIND == ALIGNED_ROWS ? a.S : a.T) & 3) != 0) {  // the last ones, where they are no four
#pragma unroll 1
      for (int q = 0; q < 4; ++q) {
        Group g;
        if (!visited(g, s, q) || g.inside || g.there < 1 || g.there > 3) continue;
#pragma unroll 1
        for (int n = 0; n < READS; ++n) {
          if (wanted(g, n))
            store4(place_of(g, n), widen(read2_bytes(g.from)), g.there > 1 ? widen(read2_bytes(g.from + 2)) : 0.0f,
                   g.there > 2 ? widen(read2_bytes(g.from + 4)) : 0.0f, 0.0f);
          go_on(g, n);
        }
      }
    }
    barrier_arrive(barriers + slot * 8);
#endif
    if (++slot == D) slot = 0, ++turn;
  }
}
