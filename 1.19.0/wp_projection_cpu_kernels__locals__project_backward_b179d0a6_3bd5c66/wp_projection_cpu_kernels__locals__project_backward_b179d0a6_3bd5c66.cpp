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


// /work/main/dr_kfs/rendering/_projection_cpu_warp.py:50
static CUDA_CALLABLE void projection_cpu_kernels__locals__project_rows_backward_0(
    wp::array_t<wp::float32> vertices,
    wp::array_t<wp::float32> rotation,
    wp::array_t<wp::float32> translation,
    wp::int32 first_row,
    wp::int32 last_row,
    wp::float32 half_width,
    wp::float32 clip,
    wp::float32 farthest,
    wp::array_t<wp::float32> grad_corners,
    wp::array_t<wp::float32> grad_vertices)
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
// Rows of three numbers, x, y, z, eight at a time: what the kernels share that project vertices and shade faces.
//
// Stands below lanes.h; reads from its surroundings: first_row, last_row (of the task), farthest.
// Names and formulas are those of _projection_warp.py.

struct Three { Lanes x, y, z; };
auto plus = [](const Three& a, const Three& b) { return Three{a.x + b.x, a.y + b.y, a.z + b.z}; };
auto minus = [](const Three& a, const Three& b) { return Three{a.x - b.x, a.y - b.y, a.z - b.z}; };
auto scaled = [](const Three& a, Lanes by) { return Three{a.x * by, a.y * by, a.z * by}; };
auto dot = [](const Three& a, const Three& b) { return a.x * b.x + a.y * b.y + a.z * b.z; };
auto cross = [](const Three& a, const Three& b) {
    return Three{a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
};
auto length_of = [&](const Three& a) { return __builtin_elementwise_sqrt(dot(a, a)); };
auto three = [](const float* from) { return Three{(Lanes)(from[0]), (Lanes)(from[1]), (Lanes)(from[2])}; };

// Up to eight rows that follow each other; what is missing is 0.
auto load_rows = [&](const float* from, int count) {
    float padded[24] = {0};
    if (count < 8) {
        for (int i = 0; i < 3 * count; i++) padded[i] = from[i];
        from = padded;
    }
    const Lanes one = load(from), two = load(from + 8), last = load(from + 16);
    const auto front = __builtin_shufflevector(one, two, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto rest = __builtin_shufflevector(last, last, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    return Three{
        __builtin_shufflevector(front, rest, 0, 3, 6, 9, 12, 15, 18, 21),
        __builtin_shufflevector(front, rest, 1, 4, 7, 10, 13, 16, 19, 22),
        __builtin_shufflevector(front, rest, 2, 5, 8, 11, 14, 17, 20, 23),
    };
};
auto store_rows = [&](float* to, int count, const Three& rows) {
    const auto front = __builtin_shufflevector(rows.x, rows.y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto rest = __builtin_shufflevector(rows.z, rows.z, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    float padded[24];
    float* const whole = count < 8 ? padded : to;
    store(whole, __builtin_shufflevector(front, rest, 0, 8, 16, 1, 9, 17, 2, 10));
    store(whole + 8, __builtin_shufflevector(front, rest, 18, 3, 11, 19, 4, 12, 20, 5));
    store(whole + 16, __builtin_shufflevector(front, rest, 13, 21, 6, 14, 22, 7, 15, 23));
    if (count < 8)
        for (int i = 0; i < 3 * count; i++) to[i] = padded[i];
};
auto store_some = [&](float* to, int count, Lanes values) {
    if (count == 8) store(to, values);
    else
        for (int lane = 0; lane < count; lane++) to[lane] = values[lane];
};
auto load_some = [&](const float* from, int count) {
    if (count == 8) return load(from);
    Lanes values = ZERO;
    for (int lane = 0; lane < count; lane++) values[lane] = from[lane];
    return values;
};

auto is_near = [&](const Three& p) {
    auto within = [&](Lanes x) { return __builtin_elementwise_abs(x) <= (Lanes)(farthest); };
    return within(p.x) & within(p.y) & within(p.z);
};
// The origin in place of what is too far.
auto or_origin = [&](const Three& p) {
    const Mask near = is_near(p);
    return Three{near ? p.x : ZERO, near ? p.y : ZERO, near ? p.z : ZERO};
};

// visit(first, count) for the rows of the task, eight at a time.
auto for_rows = [&](auto&& visit) {
    for (int first = first_row; first < last_row; first += 8) visit(first, last_row - first < 8 ? last_row - first : 8);
};
// What a camera sees of points, below row_lanes.h. Reads rotation (V, 3, 3), translation (V, 3), half_width and clip.

auto axis = [&](int camera, int i) { return three((const float*)rotation.data + 9 * camera + 3 * i); };
auto in_camera = [&](int camera, const Three& p) {
    const Three origin = three((const float*)translation.data + 3 * camera);
    return Three{origin.x + dot(axis(camera, 0), p), origin.y + dot(axis(camera, 1), p),
                 origin.z + dot(axis(camera, 2), p)};
};
// To NDC, at the depth of the points.
auto scale_at = [&](Lanes depth) { return ONE / (larger(depth, (Lanes)(clip)) * half_width); };
// Backward of project_forward.cpp: the gradient of the vertices of a task.
//
// Arguments (see _projection_cpu_warp.py): those of the forward up to farthest; grad_corners (V, N + 1, 3);
// grad_vertices (N, 3), whose rows of the task are written.

const int cameras = rotation.shape[0], known = vertices.shape[0];
for_rows([&](int first, int count) {
    const Three vertex = load_rows((const float*)vertices.data + 3 * (long)first, count), p = or_origin(vertex);
    const Mask near = is_near(vertex);
    Three total = {ZERO, ZERO, ZERO};
    for (int camera = 0; camera < cameras; camera++) {
        const Three g = load_rows((const float*)grad_corners.data + 3 * ((long)camera * (known + 1) + first), count);
        const Three seen = in_camera(camera, p);
        const Lanes scale = scale_at(seen.z);
        const Mask before = seen.z >= (Lanes)(clip);
        const Lanes through_scale = before ? (g.x * seen.x + g.y * seen.y) * scale / seen.z : ZERO;
        const Three across = plus(scaled(axis(camera, 0), g.x * scale), scaled(axis(camera, 1), g.y * scale));
        total = plus(total, plus(across, scaled(axis(camera, 2), g.z - through_scale)));
    }
    total = Three{near ? total.x : ZERO, near ? total.y : ZERO, near ? total.z : ZERO};
    store_rows((float*)grad_vertices.data + 3 * (long)first, count, total);
});
}


// /work/main/dr_kfs/rendering/_projection_cpu_warp.py:50
static CUDA_CALLABLE void adj_projection_cpu_kernels__locals__project_rows_backward_0(
    wp::array_t<wp::float32> vertices,
    wp::array_t<wp::float32> rotation,
    wp::array_t<wp::float32> translation,
    wp::int32 first_row,
    wp::int32 last_row,
    wp::float32 half_width,
    wp::float32 clip,
    wp::float32 farthest,
    wp::array_t<wp::float32> grad_corners,
    wp::array_t<wp::float32> grad_vertices,
    wp::array_t<wp::float32> & adj_vertices,
    wp::array_t<wp::float32> & adj_rotation,
    wp::array_t<wp::float32> & adj_translation,
    wp::int32 & adj_first_row,
    wp::int32 & adj_last_row,
    wp::float32 & adj_half_width,
    wp::float32 & adj_clip,
    wp::float32 & adj_farthest,
    wp::array_t<wp::float32> & adj_grad_corners,
    wp::array_t<wp::float32> & adj_grad_vertices)
{
}

struct wp_args_projection_cpu_kernels__locals__project_backward_118f99da {
    wp::array_t<wp::float32> vertices;
    wp::array_t<wp::float32> rotation;
    wp::array_t<wp::float32> translation;
    wp::int32 first_task;
    wp::int32 task_size;
    wp::float32 half_width;
    wp::float32 clip;
    wp::array_t<wp::float32> grad_corners;
    wp::array_t<wp::float32> grad_vertices;
};


template <bool wp_linear_contiguous>
static void projection_cpu_kernels__locals__project_backward_118f99da_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_projection_cpu_kernels__locals__project_backward_118f99da *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_vertices = _wp_args->vertices;
    wp::array_t<wp::float32> var_rotation = _wp_args->rotation;
    wp::array_t<wp::float32> var_translation = _wp_args->translation;
    wp::int32 var_first_task = _wp_args->first_task;
    wp::int32 var_task_size = _wp_args->task_size;
    wp::float32 var_half_width = _wp_args->half_width;
    wp::float32 var_clip = _wp_args->clip;
    wp::array_t<wp::float32> var_grad_corners = _wp_args->grad_corners;
    wp::array_t<wp::float32> var_grad_vertices = _wp_args->grad_vertices;
    //---------
    // primal vars
    wp::int32 var_0;
    wp::int32 var_1;
    wp::int32 var_2;
    wp::int32 var_3;
    wp::shape_t* var_4;
    const wp::int32 var_5 = 0;
    wp::int32 var_6;
    wp::shape_t var_7;
    wp::int32 var_8;
    const wp::float32 var_9 = 1000000.0;
    //---------
    // forward
    // def project_backward(                                                                  <L 138>
    // first = (first_task + wp.tid()) * task_size                                            <L 149>
    var_0 = builtin_tid1d();
    var_1 = wp::add(var_first_task, var_0);
    var_2 = wp::mul(var_1, var_task_size);
    // last = wp.min(first + task_size, vertices.shape[0])                                    <L 150>
    var_3 = wp::add(var_2, var_task_size);
    var_4 = &(var_vertices.shape);
    var_7 = wp::load(var_4);
    var_6 = wp::extract(var_7, var_5);
    var_8 = wp::min(var_3, var_6);
    // project_rows_backward(                                                                 <L 151>
    // vertices, rotation, translation, first, last, half_width, clip, farthest, grad_corners, grad_vertices       <L 152>
    projection_cpu_kernels__locals__project_rows_backward_0(var_vertices, var_rotation, var_translation, var_2, var_8, var_half_width, var_clip, var_9, var_grad_corners, var_grad_vertices);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void projection_cpu_kernels__locals__project_backward_118f99da_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__project_backward_118f99da *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        projection_cpu_kernels__locals__project_backward_118f99da_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void projection_cpu_kernels__locals__project_backward_118f99da_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__project_backward_118f99da *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    projection_cpu_kernels__locals__project_backward_118f99da_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void projection_cpu_kernels__locals__project_backward_118f99da_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__project_backward_118f99da *_wp_args)
{
    projection_cpu_kernels__locals__project_backward_118f99da_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

