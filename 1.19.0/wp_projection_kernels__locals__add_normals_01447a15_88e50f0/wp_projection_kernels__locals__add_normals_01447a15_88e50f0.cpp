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


// /work/main/dr_kfs/rendering/_projection_warp.py:45
static bool projection_kernels__locals__exists_0(
    wp::array_t<wp::float32> var_vertices,
    wp::int32 var_a,
    wp::int32 var_b,
    wp::int32 var_c)
{
    //---------
    // primal vars
    bool var_0;
    wp::int32 var_1;
    wp::int32 var_2;
    const wp::int32 var_3 = 0;
    bool var_4;
    wp::int32 var_5;
    wp::int32 var_6;
    wp::shape_t* var_7;
    const wp::int32 var_8 = 0;
    wp::int32 var_9;
    wp::shape_t var_10;
    bool var_11;
    //---------
    // forward
    // def exists(vertices: wp.array2d(dtype=real), a: int, b: int, c: int) -> bool:          <L 46>
    // return wp.min(wp.min(a, b), c) >= 0 and wp.max(wp.max(a, b), c) < vertices.shape[0]       <L 47>
    var_1 = wp::min(var_a, var_b);
    var_2 = wp::min(var_1, var_c);
    var_4 = (var_2 >= var_3);
    var_0 = var_4;
    if (var_0) {
        var_5 = wp::max(var_a, var_b);
        var_6 = wp::max(var_5, var_c);
        var_7 = &(var_vertices.shape);
        var_10 = wp::load(var_7);
        var_9 = wp::extract(var_10, var_8);
        var_11 = (var_6 < var_9);
        var_0 = var_0 && var_11;
    }
    return var_0;
}


// /work/main/dr_kfs/rendering/_projection_warp.py:33
static wp::vec_t<3, wp::float32> projection_kernels__locals__row_0(
    wp::array_t<wp::float32> var_matrix,
    wp::int32 var_i)
{
    //---------
    // primal vars
    const wp::int32 var_0 = 0;
    wp::float32* var_1;
    const wp::int32 var_2 = 1;
    wp::float32* var_3;
    const wp::int32 var_4 = 2;
    wp::float32* var_5;
    wp::vec_t<3, wp::float32> var_6;
    wp::float32 var_7;
    wp::float32 var_8;
    wp::float32 var_9;
    //---------
    // forward
    // def row(matrix: wp.array2d(dtype=real), i: int):                                       <L 34>
    // return vec3(matrix[i, 0], matrix[i, 1], matrix[i, 2])                                  <L 35>
    var_1 = wp::address(var_matrix, var_i, var_0);
    var_3 = wp::address(var_matrix, var_i, var_2);
    var_5 = wp::address(var_matrix, var_i, var_4);
    var_7 = wp::load(var_1);
    var_8 = wp::load(var_3);
    var_9 = wp::load(var_5);
    var_6 = wp::vec_t<3, wp::float32>(var_7, var_8, var_9);
    return var_6;
}


// /work/main/dr_kfs/rendering/_projection_warp.py:41
static bool projection_kernels__locals__is_near_0(
    wp::vec_t<3, wp::float32> var_p)
{
    //---------
    // primal vars
    bool var_0;
    const wp::int32 var_1 = 0;
    wp::float32 var_2;
    wp::float32 var_3;
    const wp::float32 var_4 = 1000000.0;
    bool var_5;
    const wp::int32 var_6 = 1;
    wp::float32 var_7;
    wp::float32 var_8;
    bool var_9;
    const wp::int32 var_10 = 2;
    wp::float32 var_11;
    wp::float32 var_12;
    bool var_13;
    //---------
    // forward
    // def is_near(p: vec3) -> bool:                                                          <L 42>
    // return wp.abs(p[0]) <= farthest and wp.abs(p[1]) <= farthest and wp.abs(p[2]) <= farthest       <L 43>
    var_2 = wp::extract(var_p, var_1);
    var_3 = wp::abs(var_2);
    var_5 = (var_3 <= var_4);
    var_0 = var_5;
    if (var_0) {
        var_7 = wp::extract(var_p, var_6);
        var_8 = wp::abs(var_7);
        var_9 = (var_8 <= var_4);
        var_0 = var_0 && var_9;
    }
    if (var_0) {
        var_11 = wp::extract(var_p, var_10);
        var_12 = wp::abs(var_11);
        var_13 = (var_12 <= var_4);
        var_0 = var_0 && var_13;
    }
    return var_0;
}


// /work/main/dr_kfs/rendering/_projection_warp.py:45
static void adj_projection_kernels__locals__exists_0(
    wp::array_t<wp::float32> var_vertices,
    wp::int32 var_a,
    wp::int32 var_b,
    wp::int32 var_c,
    wp::array_t<wp::float32> & adj_vertices,
    wp::int32 & adj_a,
    wp::int32 & adj_b,
    wp::int32 & adj_c,
    bool & adj_ret)
{
	// reverse mode disabled (no backward-enabled kernel depends on this function)
}


// /work/main/dr_kfs/rendering/_projection_warp.py:33
static void adj_projection_kernels__locals__row_0(
    wp::array_t<wp::float32> var_matrix,
    wp::int32 var_i,
    wp::array_t<wp::float32> & adj_matrix,
    wp::int32 & adj_i,
    wp::vec_t<3, wp::float32> & adj_ret)
{
	// reverse mode disabled (no backward-enabled kernel depends on this function)
}


// /work/main/dr_kfs/rendering/_projection_warp.py:41
static void adj_projection_kernels__locals__is_near_0(
    wp::vec_t<3, wp::float32> var_p,
    wp::vec_t<3, wp::float32> & adj_p,
    bool & adj_ret)
{
	// reverse mode disabled (no backward-enabled kernel depends on this function)
}

struct wp_args_projection_kernels__locals__add_normals_5a467517 {
    wp::array_t<wp::float32> vertices;
    wp::array_t<wp::int64> faces;
    wp::array_t<wp::float32> grad_normals;
    wp::int32 first_task;
    wp::int32 task_size;
    wp::array_t<wp::float32> grad_vertices;
};


template <bool wp_linear_contiguous>
static void projection_kernels__locals__add_normals_5a467517_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_projection_kernels__locals__add_normals_5a467517 *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_vertices = _wp_args->vertices;
    wp::array_t<wp::int64> var_faces = _wp_args->faces;
    wp::array_t<wp::float32> var_grad_normals = _wp_args->grad_normals;
    wp::int32 var_first_task = _wp_args->first_task;
    wp::int32 var_task_size = _wp_args->task_size;
    wp::array_t<wp::float32> var_grad_vertices = _wp_args->grad_vertices;
    //---------
    // primal vars
    wp::int32 var_0;
    wp::int32 var_1;
    wp::int32 var_2;
    wp::shape_t* var_3;
    const wp::int32 var_4 = 0;
    wp::int32 var_5;
    wp::shape_t var_6;
    bool var_7;
    const wp::int32 var_8 = 0;
    wp::int64* var_9;
    wp::int32 var_10;
    wp::int64 var_11;
    const wp::int32 var_12 = 1;
    wp::int64* var_13;
    wp::int32 var_14;
    wp::int64 var_15;
    const wp::int32 var_16 = 2;
    wp::int64* var_17;
    wp::int32 var_18;
    wp::int64 var_19;
    bool var_20;
    bool var_21;
    bool var_22;
    wp::vec_t<3, wp::float32> var_23;
    bool var_24;
    wp::vec_t<3, wp::float32> var_25;
    bool var_26;
    wp::vec_t<3, wp::float32> var_27;
    bool var_28;
    bool var_29;
    wp::vec_t<3, wp::float32> var_30;
    wp::vec_t<3, wp::float32> var_31;
    wp::vec_t<3, wp::float32> var_32;
    wp::vec_t<3, wp::float32> var_33;
    wp::vec_t<3, wp::float32> var_34;
    wp::vec_t<3, wp::float32> var_35;
    wp::vec_t<3, wp::float32> var_36;
    wp::vec_t<3, wp::float32> var_37;
    const wp::int32 var_38 = 0;
    wp::float32 var_39;
    wp::float32 var_40;
    wp::float32 var_41;
    wp::float32 var_42;
    wp::float32 var_43;
    wp::float32 var_44;
    wp::float32 var_45;
    wp::float32 var_46;
    wp::float32 var_47;
    const wp::int32 var_48 = 1;
    wp::float32 var_49;
    wp::float32 var_50;
    wp::float32 var_51;
    wp::float32 var_52;
    wp::float32 var_53;
    wp::float32 var_54;
    wp::float32 var_55;
    wp::float32 var_56;
    wp::float32 var_57;
    const wp::int32 var_58 = 2;
    wp::float32 var_59;
    wp::float32 var_60;
    wp::float32 var_61;
    wp::float32 var_62;
    wp::float32 var_63;
    wp::float32 var_64;
    wp::float32 var_65;
    wp::float32 var_66;
    wp::float32 var_67;
    //---------
    // forward
    // def add_normals(                                                                       <L 197>
    // f = first_task * task_size + wp.tid()                                                  <L 205>
    var_0 = wp::mul(var_first_task, var_task_size);
    var_1 = builtin_tid1d();
    var_2 = wp::add(var_0, var_1);
    // if f >= faces.shape[0]:                                                                <L 206>
    var_3 = &(var_faces.shape);
    var_6 = wp::load(var_3);
    var_5 = wp::extract(var_6, var_4);
    var_7 = (var_2 >= var_5);
    if (var_7) {
        // return                                                                             <L 207>
        return;
    }
    // a, b, c = int(faces[f, 0]), int(faces[f, 1]), int(faces[f, 2])                         <L 208>
    var_9 = wp::address(var_faces, var_2, var_8);
    var_11 = wp::load(var_9);
    var_10 = wp::int(var_11);
    var_13 = wp::address(var_faces, var_2, var_12);
    var_15 = wp::load(var_13);
    var_14 = wp::int(var_15);
    var_17 = wp::address(var_faces, var_2, var_16);
    var_19 = wp::load(var_17);
    var_18 = wp::int(var_19);
    // if not exists(vertices, a, b, c):                                                      <L 209>
    var_20 = projection_kernels__locals__exists_0(var_vertices, var_10, var_14, var_18);
    var_21 = wp::unot(var_20);
    if (var_21) {
        // return                                                                             <L 210>
        return;
    }
    // if not (is_near(row(vertices, a)) and is_near(row(vertices, b)) and is_near(row(vertices, c))):       <L 211>
    var_23 = projection_kernels__locals__row_0(var_vertices, var_10);
    var_24 = projection_kernels__locals__is_near_0(var_23);
    var_22 = var_24;
    if (var_22) {
        var_25 = projection_kernels__locals__row_0(var_vertices, var_14);
        var_26 = projection_kernels__locals__is_near_0(var_25);
        var_22 = var_22 && var_26;
    }
    if (var_22) {
        var_27 = projection_kernels__locals__row_0(var_vertices, var_18);
        var_28 = projection_kernels__locals__is_near_0(var_27);
        var_22 = var_22 && var_28;
    }
    var_29 = wp::unot(var_22);
    if (var_29) {
        // return                                                                             <L 212>
        return;
    }
    // first, grad = row(vertices, a), row(grad_normals, f)                                   <L 213>
    var_30 = projection_kernels__locals__row_0(var_vertices, var_10);
    var_31 = projection_kernels__locals__row_0(var_grad_normals, var_2);
    // of_second = wp.cross(row(vertices, c) - first, grad)                                   <L 214>
    var_32 = projection_kernels__locals__row_0(var_vertices, var_18);
    var_33 = wp::sub(var_32, var_30);
    var_34 = wp::cross(var_33, var_31);
    // of_third = wp.cross(grad, row(vertices, b) - first)                                    <L 215>
    var_35 = projection_kernels__locals__row_0(var_vertices, var_14);
    var_36 = wp::sub(var_35, var_30);
    var_37 = wp::cross(var_31, var_36);
    // for k in range(3):                                                                     <L 216>
    // wp.atomic_add(grad_vertices, a, k, -(of_second[k] + of_third[k]))                      <L 217>
    var_39 = wp::extract(var_34, var_38);
    var_40 = wp::extract(var_37, var_38);
    var_41 = wp::add(var_39, var_40);
    var_42 = wp::neg(var_41);
    var_43 = wp::atomic_add(var_grad_vertices, var_10, var_38, var_42);
    // wp.atomic_add(grad_vertices, b, k, of_second[k])                                       <L 218>
    var_44 = wp::extract(var_34, var_38);
    var_45 = wp::atomic_add(var_grad_vertices, var_14, var_38, var_44);
    // wp.atomic_add(grad_vertices, c, k, of_third[k])                                        <L 219>
    var_46 = wp::extract(var_37, var_38);
    var_47 = wp::atomic_add(var_grad_vertices, var_18, var_38, var_46);
    // wp.atomic_add(grad_vertices, a, k, -(of_second[k] + of_third[k]))                      <L 217>
    var_49 = wp::extract(var_34, var_48);
    var_50 = wp::extract(var_37, var_48);
    var_51 = wp::add(var_49, var_50);
    var_52 = wp::neg(var_51);
    var_53 = wp::atomic_add(var_grad_vertices, var_10, var_48, var_52);
    // wp.atomic_add(grad_vertices, b, k, of_second[k])                                       <L 218>
    var_54 = wp::extract(var_34, var_48);
    var_55 = wp::atomic_add(var_grad_vertices, var_14, var_48, var_54);
    // wp.atomic_add(grad_vertices, c, k, of_third[k])                                        <L 219>
    var_56 = wp::extract(var_37, var_48);
    var_57 = wp::atomic_add(var_grad_vertices, var_18, var_48, var_56);
    // wp.atomic_add(grad_vertices, a, k, -(of_second[k] + of_third[k]))                      <L 217>
    var_59 = wp::extract(var_34, var_58);
    var_60 = wp::extract(var_37, var_58);
    var_61 = wp::add(var_59, var_60);
    var_62 = wp::neg(var_61);
    var_63 = wp::atomic_add(var_grad_vertices, var_10, var_58, var_62);
    // wp.atomic_add(grad_vertices, b, k, of_second[k])                                       <L 218>
    var_64 = wp::extract(var_34, var_58);
    var_65 = wp::atomic_add(var_grad_vertices, var_14, var_58, var_64);
    // wp.atomic_add(grad_vertices, c, k, of_third[k])                                        <L 219>
    var_66 = wp::extract(var_37, var_58);
    var_67 = wp::atomic_add(var_grad_vertices, var_18, var_58, var_66);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void projection_kernels__locals__add_normals_5a467517_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_kernels__locals__add_normals_5a467517 *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        projection_kernels__locals__add_normals_5a467517_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void projection_kernels__locals__add_normals_5a467517_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_kernels__locals__add_normals_5a467517 *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    projection_kernels__locals__add_normals_5a467517_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void projection_kernels__locals__add_normals_5a467517_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_projection_kernels__locals__add_normals_5a467517 *_wp_args)
{
    projection_kernels__locals__add_normals_5a467517_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

