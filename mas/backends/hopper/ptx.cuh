// Single PTX instructions, or two that belong together, as functions. For search.cu, gaussian.cu and lockstep.cu.
//
// Addresses are in shared memory (u32) unless they are pointers, which are to global memory. "_if": only if wanted, by
// a predicate instead of a branch. See the PTX ISA manual for each instruction.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE static __device__ __forceinline__

// ---------------------------------------------------------------- clusters of thread blocks

DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
DEVICE u32 cluster_rank() { u32 r; asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r; }
DEVICE u32 cluster_size() { u32 r; asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(r)); return r; }
// The same address in the shared memory of another thread block.
DEVICE u32 in_block(u32 address, u32 rank) {
  u32 r;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(address), "r"(rank));
  return r;
}
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
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
// Sends 16 bytes to another thread block, whose barrier, in the same block, counts them.
DEVICE void send4_if(bool wanted, u32 to, u32 barrier, const float (&v)[4]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %6, 0;\n"
      "@wanted st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];\n}" ::"r"(to),
      "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]), "r"(barrier), "r"((u32)wanted) : "memory");
}
// Copies to another thread block, whose barrier counts the bytes.
template <int BYTES>
DEVICE void copy_in_cluster(u32 to, u32 from, u32 barrier) {
  asm volatile(
      "fence.proxy.async.shared::cta;\n"
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %3, [%2];" ::"r"(to),
      "r"(from), "r"(barrier), "n"(BYTES) : "memory");
}

// ---------------------------------------------------------------- launches one after the other

// The next launch may begin: its thread blocks are then there when this one ends.
DEVICE void let_next_launch_begin() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
// Until the launch before has ended, and what it wrote can be read.
DEVICE void wait_for_launch_before() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// ---------------------------------------------------------------- barriers

DEVICE void barrier_init(u32 barrier, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
DEVICE void show_barriers_to_cluster() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void barrier_arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
DEVICE void arrive_if(bool wanted, u32 barrier) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %1, 0;\n"
      "@wanted mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(barrier), "r"((u32)wanted) : "memory");
}
// Where one lane arrives for its warp, after a __syncwarp. compute-sanitizer's racecheck takes such an arrival for that lane's
// alone. With EVERY_LANE every lane arrives for itself, so that what racecheck reports then is no matter of that.
#ifndef EVERY_LANE
#define EVERY_LANE 0
#endif
constexpr int VOICES = EVERY_LANE ? 32 : 1;  // arrivals of a warp
DEVICE void arrive_for_warp_if(bool wanted, bool speaks, u32 barrier) { arrive_if(wanted && (speaks || EVERY_LANE), barrier); }
// Makes `barrier` expect so many bytes again, then arrives at `credit`, which may be in another thread block.
template <int BYTES>
DEVICE void rearm_if(bool wanted, u32 barrier, u32 credit) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %2, 0;\n"
      "@wanted mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %3;\n"
      "@wanted mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%1];\n}" ::"r"(barrier), "r"(credit),
      "r"((u32)wanted), "n"(BYTES) : "memory");
}
// The same where what was written before is not for those who wait: a release to the cluster would first wait until all that
// was written to global memory has arrived there. What was read before must have been used.
template <int BYTES>
DEVICE void rearm_relaxed_if(bool wanted, u32 barrier, u32 credit) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %2, 0;\n"
      "@wanted mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %3;\n"
      "@wanted mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [%1];\n}" ::"r"(barrier), "r"(credit),
      "r"((u32)wanted), "n"(BYTES) : "memory");
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
// Of so many threads, by hardware barrier number 1.
template <int THREADS>
DEVICE void threads_sync() { asm volatile("bar.sync 1, %0;" ::"n"(THREADS) : "memory"); }

// ---------------------------------------------------------------- shared memory

DEVICE float load1(u32 address) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address));
  return v;
}
DEVICE float4 load4(u32 address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address));
  return v;
}
// Zeros unless wanted.
DEVICE float4 load4_if(bool wanted, u32 address) {
  float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %4, 0;\n@wanted ld.shared.v4.f32 {%0, %1, %2, %3}, [%5];\n}"
      : "+f"(v.x), "+f"(v.y), "+f"(v.z), "+f"(v.w) : "r"((u32)wanted), "r"(address));
  return v;
}
// One float, two or four.
DEVICE void load_rows(float (&v)[1], u32 address) { v[0] = load1(address); }
DEVICE void load_rows(float (&v)[2], u32 address) {
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v[0]), "=f"(v[1]) : "r"(address));
}
DEVICE void load_rows(float (&v)[4], u32 address) {
  const float4 four = load4(address);
  v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}
DEVICE uint4 load4u(u32 address) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(address));
  return v;
}
DEVICE void store1(u32 address, float v) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory");
}
DEVICE void store2(u32 address, const u32 (&v)[2]) {
  asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(address), "r"(v[0]), "r"(v[1]) : "memory");
}
DEVICE void store4(u32 address, float a, float b, float c, float d) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(a), "f"(b), "f"(c), "f"(d) : "memory");
}
DEVICE void store4_if(bool wanted, u32 address, const float (&v)[4]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.shared.v4.f32 [%1], {%2, %3, %4, %5};\n}" ::"r"((u32)wanted), "r"(address), "f"(v[0]), "f"(v[1]), "f"(v[2]),
      "f"(v[3]) : "memory");
}
// Four floats, then four integers.
DEVICE void store8_if(bool wanted, u32 to, const float (&q)[4], const u32 (&h)[4]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.shared.v4.f32 [%1], {%2, %3, %4, %5};\n"
      "@wanted st.shared.v4.u32 [%1 + 16], {%6, %7, %8, %9};\n}" ::"r"((u32)wanted), "r"(to), "f"(q[0]), "f"(q[1]),
      "f"(q[2]), "f"(q[3]), "r"(h[0]), "r"(h[1]), "r"(h[2]), "r"(h[3]) : "memory");
}

// ---------------------------------------------------------------- global memory

DEVICE u32 read2_bytes(const char* from) {
  unsigned short v;
  asm volatile("ld.global.nc.L2::256B.u16 %0, [%1];" : "=h"(v) : "l"(from));
  return v;
}
DEVICE uint2 read8_bytes(const char* from) {
  uint2 v;
  asm volatile("ld.global.nc.L2::256B.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(from));
  return v;
}
DEVICE void read1(float& v, const float* at) { asm volatile("ld.global.nc.f32 %0, [%1];" : "=f"(v) : "l"(at)); }
DEVICE void read4(float (&v)[4], const float* at) {
  asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3]) : "l"(at));
}
// 0 unless left > 0.
DEVICE void read1_if_left(float& v, const float* at, int left) {
  asm volatile("{\n.reg .pred there;\nsetp.gt.s32 there, %2, 0;\nmov.f32 %0, 0f00000000;\n@there ld.global.nc.f32 %0, [%1];\n}"
               : "=&f"(v) : "l"(at), "r"(left));
}
DEVICE void write_if(bool wanted, u32* to, const u32 (&v)[1]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.u32 [%1], %2;\n}" ::"r"((u32)wanted), "l"(to), "r"(v[0]) : "memory");
}
DEVICE void write_if(bool wanted, u32* to, const u32 (&v)[2]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.v2.u32 [%1], {%2, %3};\n}" ::"r"((u32)wanted), "l"(to), "r"(v[0]), "r"(v[1]) : "memory");
}
DEVICE void write_if(bool wanted, u32* to, const u32 (&v)[4]) {
  asm volatile(
      "{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %0, 0;\n"
      "@wanted st.global.v4.u32 [%1], {%2, %3, %4, %5};\n}" ::"r"((u32)wanted), "l"(to), "r"(v[0]), "r"(v[1]),
      "r"(v[2]), "r"(v[3]) : "memory");
}

// ---------------------------------------------------------------- copies from global to shared memory

// 16 bytes; with `bytes` only so many, and zeros after them.
DEVICE void copy16(u32 to, const char* from, int bytes) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void copy16(u32 to, const char* from) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
DEVICE void copy16(u32 to, const u32* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
DEVICE void copy4(u32 to, const char* from) {
  asm volatile("cp.async.ca.shared.global.L2::256B [%0], [%1], 4;" ::"r"(to), "l"(from) : "memory");
}
DEVICE void arrive_when_copied(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
DEVICE void copies_wait() { asm volatile("cp.async.wait_all;" ::: "memory"); }
DEVICE void copies_end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most so many groups are on their way.
template <int GROUPS>
DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory"); }

// ---------------------------------------------------------------- arithmetic

// NaN if either is NaN.
DEVICE float max_nan(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
// The value of the lane before; lane 0 keeps its own.
DEVICE void from_lane_before(float& before, float own) {
  asm volatile("shfl.sync.up.b32 %0, %1, 1, 0, -1;" : "=f"(before) : "f"(own));
}
DEVICE void from_lane_before(u32& before, u32 own) {
  asm volatile("shfl.sync.up.b32 %0, %1, 1, 0, -1;" : "=r"(before) : "r"(own));
}
DEVICE float float_of_half(u32 bits) {
  float f;
  asm("{\n.reg .b16 h;\ncvt.u16.u32 h, %1;\ncvt.f32.f16 %0, h;\n}" : "=f"(f) : "r"(bits & 0xffff));
  return f;
}
DEVICE u32 two_bfloats(float first, float second) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
  return r;
}
DEVICE float power_of_2(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

// ---------------------------------------------------------------- tensor cores

// d (+)= 64 tokens by 128 frames by 16 channels; by 4 warps together, and done when products_wait says so.
DEVICE void multiply(float (&d)[64], u64 tokens, u64 frames, int add) {
#define FOUR(n) "+f"(d[n]), "+f"(d[n + 1]), "+f"(d[n + 2]), "+f"(d[n + 3])
#define SIXTEEN(n) FOUR(n), FOUR(n + 4), FOUR(n + 8), FOUR(n + 12)
  asm volatile(
      "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, add, 1, 1, 0, 0;\n}"
      : SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48) : "l"(tokens), "l"(frames), "r"(add));
#undef SIXTEEN
#undef FOUR
}
DEVICE void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void products_queued() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
DEVICE void products_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }
DEVICE void show_to_tensor_cores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
