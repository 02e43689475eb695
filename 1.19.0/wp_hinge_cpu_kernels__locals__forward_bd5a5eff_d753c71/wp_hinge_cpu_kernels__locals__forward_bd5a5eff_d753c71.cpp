#define WP_NO_BFLOAT16

#define WP_TILE_BLOCK_DIM 1
#define WP_NO_CRT
#include "builtin.h"
#include "deterministic.h"

#define builtin_tid1d() wp::linear_tid<wp_linear_tid>(task_index, dim)
#define builtin_tid2d(x, y) wp::tid(x, y, task_index, dim)
#define builtin_tid3d(x, y, z) wp::tid(x, y, z, task_index, dim)
#define builtin_tid4d(x, y, z, w) wp::tid(x, y, z, w, task_index, dim)

#define builtin_block_dim() wp::block_dim()


// avoid namespacing of float type for casting to float type, this is to avoid wp::float(x), which is not valid in C++
#define float(x) cast_float(x)
#define adj_float(x, adj_x, adj_ret) adj_cast_float(x, adj_x, adj_ret)

#define int(x) cast_int(x)
#define adj_int(x, adj_x, adj_ret) adj_cast_int(x, adj_x, adj_ret)


// /work/main/dr_kfs/keypoints/_hinges_cpu_warp.py:30
static CUDA_CALLABLE void hinge_cpu_kernels__locals__forward_row_0(
    wp::array_t<wp::float32> correlations,
    wp::array_t<wp::float32> biases,
    wp::array_t<wp::float32> calibration,
    wp::array_t<wp::uint8> lit,
    wp::int32 image,
    wp::int32 row,
    wp::int32 margin,
    wp::array_t<wp::float32> poi,
    wp::array_t<wp::uint8> winners)
{
// First of all: a * b + c may be one operation, rounded once, where the machine has it. Clang decides that where it reads
// an expression, not where it optimises: the same expression gives the same bits in every kernel.
#pragma clang fp contract(on)

// Eight numbers at a time: the vector arithmetic of all CPU kernels in C++, the detector's too.
//
// This text stands at the top of the bodies of the kernels (Warp compiles function bodies), so it defines lambdas and
// local types. Clang lowers the vector types to whatever the machine has: AVX-512, AVX2, NEON or scalars.

typedef float Lanes __attribute__((ext_vector_type(8)));
typedef int Mask __attribute__((ext_vector_type(8)));  // -1 where true
typedef float Unaligned __attribute__((ext_vector_type(8), aligned(4)));
typedef int UnalignedInts __attribute__((ext_vector_type(8), aligned(4)));


const Lanes ZERO = 0.0f, ONE = 1.0f;
const Mask STEPS = {0, 1, 2, 3, 4, 5, 6, 7};
const float LARGEST = 3.4e38f;  // NaN and infinity are not below it

auto load = [](const float* from) { return (Lanes)(*(const Unaligned*)from); };
auto store = [](float* to, Lanes values) { *(Unaligned*)to = values; };
auto smaller = [](Lanes a, Lanes b) { return a < b ? a : b; };
auto larger = [](Lanes a, Lanes b) { return a > b ? a : b; };
auto any = [](Mask mask) { return __builtin_reduce_or(mask) != 0; };
auto all = [](Mask mask) { return __builtin_reduce_and(mask) != 0; };
auto bits_of = [](Mask mask) {  // bit i: lane i
    typedef bool Bits __attribute__((ext_vector_type(8)));
    return (unsigned)__builtin_bit_cast(unsigned char, __builtin_convertvector(mask, Bits));
};
auto sum = [](Lanes a) { const auto b = a.lo + a.hi; return (b[0] + b[1]) + (b[2] + b[3]); };
auto four_sums = [](Lanes a, Lanes b, Lanes c, Lanes d) {  // of the lanes of each
    auto halves = [](auto one, auto other) {  // sums of the halves of both, in turn
        return __builtin_shufflevector(one, other, 0, 4, 1, 5) + __builtin_shufflevector(one, other, 2, 6, 3, 7);
    };
    const auto ab = halves(a.lo + a.hi, b.lo + b.hi), cd = halves(c.lo + c.hi, d.lo + d.hi);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
};

// exp to 4e-7 for |x| < 10 and 4e-6 everywhere, arguments clamped to [-87, 60]. The operations are in short chains: the
// kernels spend most of their time waiting for a result, not for a free unit.
auto exponential = [&](Lanes x) {
    const Lanes log2_e = 1.44269504f, rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    x = smaller(larger(x, (Lanes)(-87.0f)), (Lanes)(60.0f));
    const Lanes shifted = x * log2_e + rounder, whole = shifted - rounder, f = x * log2_e - whole, square = f * f;
    const Lanes low = (0.24022651f + f * 0.05550411f) * square + (1.0f + f * 0.69314718f);
    const Lanes high = 0.000154653f * square + (0.00961813f + f * 0.00133336f);
    const Mask power = __builtin_bit_cast(Mask, high * (square * square) + low);
    // The whole number, added to the exponent; the shift drops the rest of `rounder`.
    return __builtin_bit_cast(Lanes, power + (__builtin_bit_cast(Mask, shifted) << 23));
};
// One row of a PoI map from the correlations with GHH filters, eight pixels at a time.
//
// Arguments (see _hinges_cpu_warp.py): correlations, biases, calibration, lit; image, row, margin; poi, winners.

typedef unsigned char Bytes __attribute__((ext_vector_type(8)));
typedef unsigned char UnalignedBytes __attribute__((ext_vector_type(8), aligned(1)));

const int groups = biases.shape[0], members = biases.shape[1];
const long height = poi.shape[1], width = poi.shape[2];
const long plane = (long)correlations.shape[2] * correlations.shape[3];
const float* const scores = (const float*)correlations.data + (long)image * groups * members * plane +
                            (long)(row + margin) * correlations.shape[3] + margin;
const float* const bias = (const float*)biases.data;
const float scale = ((const float*)calibration.data)[0], offset = ((const float*)calibration.data)[1];
const float blank = ((const float*)calibration.data)[2];
const unsigned char* const lit_row = (const unsigned char*)lit.data + (image * height + row) * width;
float* const poi_row = (float*)poi.data + (image * height + row) * width;
unsigned char* const winner_row = (unsigned char*)winners.data + ((long)image * groups * height + row) * width;

for (long next = 0; next < width; next += 8) {
    const long column = next + 8 <= width ? next : width - 8;  // the last eight, some of them again
    const Bytes seen = *(const UnalignedBytes*)(lit_row + column);
    if (__builtin_reduce_or(seen) == 0) {
        store(poi_row + column, ZERO);
        for (int group = 0; group < groups; group++)
            *(UnalignedBytes*)(winner_row + group * height * width + column) = (Bytes)(unsigned char)0;
        continue;
    }
    Lanes response = ZERO;
    for (int group = 0; group < groups; group++) {
        const float* score = scores + (long)group * members * plane + column;
        Lanes best = load(score) + bias[group * members];
        Mask winner = 0;
        for (int member = 1; member < members; member++) {
            const Lanes other = load(score + member * plane) + bias[group * members + member];
            const Mask larger_here = (other > best) | (other != other);  // NaN stays, as in torch.max
            winner = larger_here ? (Mask)member : winner;
            best = larger_here ? other : best;
        }
        *(UnalignedBytes*)(winner_row + group * height * width + column) = __builtin_convertvector(winner, Bytes);
        response += group % 2 == 0 ? best : -best;
    }
    const Lanes probability = 1.0f / (1.0f + exponential(-(scale * response + offset)));
    const Lanes above = larger(probability - blank, ZERO) / (1.0f - blank);
    const Lanes value = response == response ? above : response;
    store(poi_row + column, __builtin_convertvector(seen, Mask) != 0 ? value : ZERO);
}
}


// /work/main/dr_kfs/keypoints/_hinges_cpu_warp.py:30
static CUDA_CALLABLE void adj_hinge_cpu_kernels__locals__forward_row_0(
    wp::array_t<wp::float32> correlations,
    wp::array_t<wp::float32> biases,
    wp::array_t<wp::float32> calibration,
    wp::array_t<wp::uint8> lit,
    wp::int32 image,
    wp::int32 row,
    wp::int32 margin,
    wp::array_t<wp::float32> poi,
    wp::array_t<wp::uint8> winners,
    wp::array_t<wp::float32> & adj_correlations,
    wp::array_t<wp::float32> & adj_biases,
    wp::array_t<wp::float32> & adj_calibration,
    wp::array_t<wp::uint8> & adj_lit,
    wp::int32 & adj_image,
    wp::int32 & adj_row,
    wp::int32 & adj_margin,
    wp::array_t<wp::float32> & adj_poi,
    wp::array_t<wp::uint8> & adj_winners)
{
}

struct wp_args_hinge_cpu_kernels__locals__forward_920f9d70 {
    wp::array_t<wp::float32> correlations;
    wp::array_t<wp::float32> biases;
    wp::array_t<wp::float32> calibration;
    wp::array_t<wp::uint8> lit;
    wp::int32 first_image;
    wp::int32 margin;
    wp::array_t<wp::float32> poi;
    wp::array_t<wp::uint8> winners;
};


template <bool wp_linear_contiguous>
static void hinge_cpu_kernels__locals__forward_920f9d70_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_hinge_cpu_kernels__locals__forward_920f9d70 *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_correlations = _wp_args->correlations;
    wp::array_t<wp::float32> var_biases = _wp_args->biases;
    wp::array_t<wp::float32> var_calibration = _wp_args->calibration;
    wp::array_t<wp::uint8> var_lit = _wp_args->lit;
    wp::int32 var_first_image = _wp_args->first_image;
    wp::int32 var_margin = _wp_args->margin;
    wp::array_t<wp::float32> var_poi = _wp_args->poi;
    wp::array_t<wp::uint8> var_winners = _wp_args->winners;
    //---------
    // primal vars
    wp::int32 var_0;
    wp::shape_t* var_1;
    const wp::int32 var_2 = 1;
    wp::int32 var_3;
    wp::shape_t var_4;
    wp::int32 var_5;
    wp::int32 var_6;
    wp::int32 var_7;
    wp::shape_t* var_8;
    const wp::int32 var_9 = 1;
    wp::int32 var_10;
    wp::shape_t var_11;
    wp::int32 var_12;
    //---------
    // forward
    // def forward(                                                                           <L 57>
    // image, row = first_image + wp.tid() // poi.shape[1], wp.tid() % poi.shape[1]           <L 67>
    var_0 = builtin_tid1d();
    var_1 = &(var_poi.shape);
    var_4 = wp::load(var_1);
    var_3 = wp::extract(var_4, var_2);
    var_5 = wp::floordiv(var_0, var_3);
    var_6 = wp::add(var_first_image, var_5);
    var_7 = builtin_tid1d();
    var_8 = &(var_poi.shape);
    var_11 = wp::load(var_8);
    var_10 = wp::extract(var_11, var_9);
    var_12 = wp::mod(var_7, var_10);
    // forward_row(correlations, biases, calibration, lit, image, row, margin, poi, winners)       <L 68>
    hinge_cpu_kernels__locals__forward_row_0(var_correlations, var_biases, var_calibration, var_lit, var_6, var_12, var_margin, var_poi, var_winners);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void hinge_cpu_kernels__locals__forward_920f9d70_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_hinge_cpu_kernels__locals__forward_920f9d70 *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        hinge_cpu_kernels__locals__forward_920f9d70_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void hinge_cpu_kernels__locals__forward_920f9d70_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_hinge_cpu_kernels__locals__forward_920f9d70 *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    hinge_cpu_kernels__locals__forward_920f9d70_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void hinge_cpu_kernels__locals__forward_920f9d70_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_hinge_cpu_kernels__locals__forward_920f9d70 *_wp_args)
{
    hinge_cpu_kernels__locals__forward_920f9d70_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

