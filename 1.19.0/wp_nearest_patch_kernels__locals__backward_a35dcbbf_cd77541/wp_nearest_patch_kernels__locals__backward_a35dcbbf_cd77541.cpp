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

struct wp_args_nearest_patch_kernels__locals__backward_3428a2d3 {
    wp::array_t<wp::float32> query;
    wp::array_t<wp::float32> reference;
    wp::array_t<wp::int64> index;
    wp::array_t<wp::float32> grad_distance;
    wp::int32 first_view;
    wp::int32 lanes;
    wp::array_t<wp::float32> grad_query;
    wp::array_t<wp::float32> grad_reference;
};


template <bool wp_linear_contiguous>
static void nearest_patch_kernels__locals__backward_3428a2d3_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_nearest_patch_kernels__locals__backward_3428a2d3 *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_query = _wp_args->query;
    wp::array_t<wp::float32> var_reference = _wp_args->reference;
    wp::array_t<wp::int64> var_index = _wp_args->index;
    wp::array_t<wp::float32> var_grad_distance = _wp_args->grad_distance;
    wp::int32 var_first_view = _wp_args->first_view;
    wp::int32 var_lanes = _wp_args->lanes;
    wp::array_t<wp::float32> var_grad_query = _wp_args->grad_query;
    wp::array_t<wp::float32> var_grad_reference = _wp_args->grad_reference;
    //---------
    // primal vars
    wp::int32 var_0;
    wp::int32 var_1;
    wp::int32 var_2;
    wp::int32 var_3;
    wp::shape_t* var_4;
    const wp::int32 var_5 = 1;
    wp::int32 var_6;
    wp::shape_t var_7;
    wp::int32 var_8;
    wp::int32 var_9;
    wp::shape_t* var_10;
    const wp::int32 var_11 = 1;
    wp::int32 var_12;
    wp::shape_t var_13;
    wp::int32 var_14;
    wp::shape_t* var_15;
    const wp::int32 var_16 = 2;
    wp::int32 var_17;
    wp::shape_t var_18;
    wp::int64* var_19;
    wp::int32 var_20;
    wp::int64 var_21;
    const wp::float32 var_22 = 2.0;
    wp::float32 var_23;
    wp::float32* var_24;
    wp::float32 var_25;
    wp::float32 var_26;
    wp::float32 var_27;
    wp::float32 var_28;
    wp::range_t var_29;
    wp::int32 var_30;
    wp::float32* var_31;
    wp::float32* var_32;
    wp::float32 var_33;
    wp::float32 var_34;
    wp::float32 var_35;
    wp::float32 var_36;
    wp::float32 var_37;
    wp::float32 var_38;
    //---------
    // forward
    // def backward(                                                                          <L 63>
    // thread, lane = wp.tid() // lanes, wp.tid() % lanes                                     <L 73>
    var_0 = builtin_tid1d();
    var_1 = wp::floordiv(var_0, var_lanes);
    var_2 = builtin_tid1d();
    var_3 = wp::mod(var_2, var_lanes);
    // view, patch = first_view + thread // query.shape[1], thread % query.shape[1]           <L 74>
    var_4 = &(var_query.shape);
    var_7 = wp::load(var_4);
    var_6 = wp::extract(var_7, var_5);
    var_8 = wp::floordiv(var_1, var_6);
    var_9 = wp::add(var_first_view, var_8);
    var_10 = &(var_query.shape);
    var_13 = wp::load(var_10);
    var_12 = wp::extract(var_13, var_11);
    var_14 = wp::mod(var_1, var_12);
    // dimensions = query.shape[2]                                                            <L 75>
    var_15 = &(var_query.shape);
    var_18 = wp::load(var_15);
    var_17 = wp::extract(var_18, var_16);
    // nearest = int(index[view, patch])                                                      <L 76>
    var_19 = wp::address(var_index, var_9, var_14);
    var_21 = wp::load(var_19);
    var_20 = wp::int(var_21);
    // scale = real(2.0) * grad_distance[view, patch] / real(dimensions)                      <L 77>
    var_23 = wp::float32(var_22);
    var_24 = wp::address(var_grad_distance, var_9, var_14);
    var_26 = wp::load(var_24);
    var_25 = wp::mul(var_23, var_26);
    var_27 = wp::float32(var_17);
    var_28 = wp::div(var_25, var_27);
    // for d in range(lane, dimensions, lanes):                                               <L 78>
    var_29 = wp::range(var_3, var_17, var_lanes);
    start_for_0:;
        if (iter_cmp(var_29) == 0) goto end_for_0;
        var_30 = wp::iter_next(var_29);
        // gradient = scale * (query[view, patch, d] - reference[view, nearest, d])           <L 79>
        var_31 = wp::address(var_query, var_9, var_14, var_30);
        var_32 = wp::address(var_reference, var_9, var_20, var_30);
        var_34 = wp::load(var_31);
        var_35 = wp::load(var_32);
        var_33 = wp::sub(var_34, var_35);
        var_36 = wp::mul(var_28, var_33);
        // grad_query[view, patch, d] = gradient                                              <L 80>
        wp::array_store(var_grad_query, var_9, var_14, var_30, var_36);
        // wp.atomic_add(grad_reference, view, nearest, d, -gradient)                         <L 81>
        var_37 = wp::neg(var_36);
        var_38 = wp::atomic_add(var_grad_reference, var_9, var_20, var_30, var_37);
        goto start_for_0;
    end_for_0:;
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void nearest_patch_kernels__locals__backward_3428a2d3_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__backward_3428a2d3 *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        nearest_patch_kernels__locals__backward_3428a2d3_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void nearest_patch_kernels__locals__backward_3428a2d3_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__backward_3428a2d3 *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    nearest_patch_kernels__locals__backward_3428a2d3_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void nearest_patch_kernels__locals__backward_3428a2d3_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__backward_3428a2d3 *_wp_args)
{
    nearest_patch_kernels__locals__backward_3428a2d3_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

