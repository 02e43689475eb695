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


// /work/main/dr_kfs/rendering/_projection_cpu_warp.py:83
static CUDA_CALLABLE void projection_cpu_kernels__locals__shade_rows_backward_0(
    wp::array_t<wp::float32> vertices,
    wp::array_t<wp::int64> faces,
    wp::array_t<wp::float32> eye,
    wp::int32 first_row,
    wp::int32 last_row,
    wp::float32 light_x,
    wp::float32 light_y,
    wp::float32 light_z,
    wp::float32 diffuse,
    wp::float32 farthest,
    wp::float32 tiny,
    wp::array_t<wp::float32> grad_shades,
    wp::array_t<wp::float32> grad_normals)
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
// Eight faces in the light, below row_lanes.h. Reads vertices (N, 3), faces (F, 3), whose vertices are there, eye
// (V, 3), light_x, light_y, light_z, tiny.

struct LitFaces {
    Three corner[3];        // the origin in place of one that is too far
    Mask all_near;
    Three normal;           // twice the area long
    Three center, unit;
    Lanes length, cosine;
};
const Three light = {(Lanes)(light_x), (Lanes)(light_y), (Lanes)(light_z)};
auto lit_faces = [&](int first, int count) {
    LitFaces lit;
    lit.all_near = STEPS < (Mask)(count);
    for (int i = 0; i < 3; i++) {
        Three p = {ZERO, ZERO, ZERO};
        for (int lane = 0; lane < count; lane++) {
            const long vertex = ((const long long*)faces.data)[3 * (long)(first + lane) + i];
            const float* const row = (const float*)vertices.data + 3 * vertex;
            p.x[lane] = row[0];
            p.y[lane] = row[1];
            p.z[lane] = row[2];
        }
        lit.all_near &= is_near(p);
        lit.corner[i] = or_origin(p);
    }
    lit.normal = cross(minus(lit.corner[1], lit.corner[0]), minus(lit.corner[2], lit.corner[0]));
    lit.center = scaled(plus(plus(lit.corner[0], lit.corner[1]), lit.corner[2]), (Lanes)(1.0f / 3.0f));
    lit.length = length_of(lit.normal);
    lit.unit = scaled(lit.normal, ONE / larger(lit.length, (Lanes)(tiny)));
    lit.cosine = dot(lit.unit, light);
    return lit;
};

// -1 where the camera sees the back of a face, whose normal is turned then.
auto facing = [&](const LitFaces& lit, int camera) {
    const Three to_eye = minus(three((const float*)eye.data + 3 * camera), lit.center);
    return dot(lit.normal, to_eye) < ZERO ? -ONE : ONE;
};
// Backward of shade_forward.cpp: the gradient of the normals whose length is twice the area of a task's faces.
//
// Arguments (see _projection_cpu_warp.py): those of the forward up to diffuse, farthest, tiny; grad_shades (V, F);
// grad_normals (F, 3), whose rows of the task are written.

const int cameras = eye.shape[0];
const long all_faces = faces.shape[0];
for_rows([&](int first, int count) {
    const LitFaces lit = lit_faces(first, count);
    Lanes total = ZERO;
    for (int camera = 0; camera < cameras; camera++) {
        const Lanes side = facing(lit, camera);
        const Lanes g = load_some((const float*)grad_shades.data + camera * all_faces + first, count);
        total += side * lit.cosine >= ZERO ? side * g : ZERO;
    }
    const Lanes bent = lit.length >= (Lanes)(tiny) ? lit.cosine : ZERO;
    const Lanes scale = diffuse * total / larger(lit.length, (Lanes)(tiny));
    store_rows((float*)grad_normals.data + 3 * (long)first, count, scaled(minus(light, scaled(lit.unit, bent)), scale));
});
}


// /work/main/dr_kfs/rendering/_projection_cpu_warp.py:83
static CUDA_CALLABLE void adj_projection_cpu_kernels__locals__shade_rows_backward_0(
    wp::array_t<wp::float32> vertices,
    wp::array_t<wp::int64> faces,
    wp::array_t<wp::float32> eye,
    wp::int32 first_row,
    wp::int32 last_row,
    wp::float32 light_x,
    wp::float32 light_y,
    wp::float32 light_z,
    wp::float32 diffuse,
    wp::float32 farthest,
    wp::float32 tiny,
    wp::array_t<wp::float32> grad_shades,
    wp::array_t<wp::float32> grad_normals,
    wp::array_t<wp::float32> & adj_vertices,
    wp::array_t<wp::int64> & adj_faces,
    wp::array_t<wp::float32> & adj_eye,
    wp::int32 & adj_first_row,
    wp::int32 & adj_last_row,
    wp::float32 & adj_light_x,
    wp::float32 & adj_light_y,
    wp::float32 & adj_light_z,
    wp::float32 & adj_diffuse,
    wp::float32 & adj_farthest,
    wp::float32 & adj_tiny,
    wp::array_t<wp::float32> & adj_grad_shades,
    wp::array_t<wp::float32> & adj_grad_normals)
{
}

struct wp_args_projection_cpu_kernels__locals__shade_backward_74aabb22 {
    wp::array_t<wp::float32> vertices;
    wp::array_t<wp::int64> faces;
    wp::array_t<wp::float32> eye;
    wp::int32 first_task;
    wp::int32 task_size;
    wp::float32 light_x;
    wp::float32 light_y;
    wp::float32 light_z;
    wp::float32 diffuse;
    wp::array_t<wp::float32> grad_shades;
    wp::array_t<wp::float32> grad_normals;
};


template <bool wp_linear_contiguous>
static void projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_projection_cpu_kernels__locals__shade_backward_74aabb22 *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_vertices = _wp_args->vertices;
    wp::array_t<wp::int64> var_faces = _wp_args->faces;
    wp::array_t<wp::float32> var_eye = _wp_args->eye;
    wp::int32 var_first_task = _wp_args->first_task;
    wp::int32 var_task_size = _wp_args->task_size;
    wp::float32 var_light_x = _wp_args->light_x;
    wp::float32 var_light_y = _wp_args->light_y;
    wp::float32 var_light_z = _wp_args->light_z;
    wp::float32 var_diffuse = _wp_args->diffuse;
    wp::array_t<wp::float32> var_grad_shades = _wp_args->grad_shades;
    wp::array_t<wp::float32> var_grad_normals = _wp_args->grad_normals;
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
    const wp::float32 var_10 = 1e-12;
    //---------
    // forward
    // def shade_backward(                                                                    <L 156>
    // first = (first_task + wp.tid()) * task_size                                            <L 169>
    var_0 = builtin_tid1d();
    var_1 = wp::add(var_first_task, var_0);
    var_2 = wp::mul(var_1, var_task_size);
    // last = wp.min(first + task_size, faces.shape[0])                                       <L 170>
    var_3 = wp::add(var_2, var_task_size);
    var_4 = &(var_faces.shape);
    var_7 = wp::load(var_4);
    var_6 = wp::extract(var_7, var_5);
    var_8 = wp::min(var_3, var_6);
    // shade_rows_backward(                                                                   <L 171>
    // vertices, faces, eye, first, last, light_x, light_y, light_z, diffuse, farthest, tiny, grad_shades,       <L 172>
    // grad_normals,                                                                          <L 173>
    projection_cpu_kernels__locals__shade_rows_backward_0(var_vertices, var_faces, var_eye, var_2, var_8, var_light_x, var_light_y, var_light_z, var_diffuse, var_9, var_10, var_grad_shades, var_grad_normals);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__shade_backward_74aabb22 *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__shade_backward_74aabb22 *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_cpu_kernels__locals__shade_backward_74aabb22 *_wp_args)
{
    projection_cpu_kernels__locals__shade_backward_74aabb22_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

