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


// /work/main/dr_kfs/_nearest_patch_warp.py:31
static CUDA_CALLABLE wp::float32 nearest_patch_kernels__locals__sum_over_lanes_0(
    wp::float32 value)
{

#if defined(__CUDA_ARCH__)
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
#endif
    return value;
}


// /work/main/dr_kfs/_nearest_patch_warp.py:31
static CUDA_CALLABLE void adj_nearest_patch_kernels__locals__sum_over_lanes_0(
    wp::float32 value,
    wp::float32 & adj_value,
    wp::float32 & adj_ret)
{
}

struct wp_args_nearest_patch_kernels__locals__forward_1c54f2cf {
    wp::array_t<wp::float32> query;
    wp::array_t<wp::float32> reference;
    wp::array_t<wp::int64> candidates;
    wp::int32 first_view;
    wp::int32 lanes;
    wp::array_t<wp::float32> distance;
    wp::array_t<wp::int64> index;
};


template <bool wp_linear_contiguous>
static void nearest_patch_kernels__locals__forward_1c54f2cf_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_nearest_patch_kernels__locals__forward_1c54f2cf *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_query = _wp_args->query;
    wp::array_t<wp::float32> var_reference = _wp_args->reference;
    wp::array_t<wp::int64> var_candidates = _wp_args->candidates;
    wp::int32 var_first_view = _wp_args->first_view;
    wp::int32 var_lanes = _wp_args->lanes;
    wp::array_t<wp::float32> var_distance = _wp_args->distance;
    wp::array_t<wp::int64> var_index = _wp_args->index;
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
    const wp::float32 var_19 = INFINITY;
    const wp::float32 var_20 = INFINITY;
    wp::float32 var_21;
    wp::int64 var_22;
    wp::shape_t* var_23;
    const wp::int32 var_24 = 1;
    wp::int32 var_25;
    wp::shape_t var_26;
    wp::range_t var_27;
    wp::int32 var_28;
    wp::int64* var_29;
    wp::int64 var_30;
    wp::int64 var_31;
    wp::int64 var_32;
    bool var_33;
    const wp::float32 var_34 = 0.0;
    wp::float32 var_35;
    wp::range_t var_36;
    wp::int32 var_37;
    wp::float32* var_38;
    wp::int32 var_39;
    wp::float32* var_40;
    wp::float32 var_41;
    wp::float32 var_42;
    wp::float32 var_43;
    wp::float32 var_44;
    wp::float32 var_45;
    wp::float32 var_46;
    bool var_47;
    wp::int64 var_48;
    bool var_49;
    bool var_50;
    bool var_51;
    wp::float32 var_52;
    wp::int64 var_53;
    wp::float32 var_54;
    wp::int64 var_55;
    const wp::int32 var_56 = 0;
    bool var_57;
    wp::float32 var_58;
    wp::float32 var_59;
    //---------
    // forward
    // def forward(                                                                           <L 35>
    // thread, lane = wp.tid() // lanes, wp.tid() % lanes                                     <L 44>
    var_0 = builtin_tid1d();
    var_1 = wp::floordiv(var_0, var_lanes);
    var_2 = builtin_tid1d();
    var_3 = wp::mod(var_2, var_lanes);
    // view, patch = first_view + thread // query.shape[1], thread % query.shape[1]           <L 45>
    var_4 = &(var_query.shape);
    var_7 = wp::load(var_4);
    var_6 = wp::extract(var_7, var_5);
    var_8 = wp::floordiv(var_1, var_6);
    var_9 = wp::add(var_first_view, var_8);
    var_10 = &(var_query.shape);
    var_13 = wp::load(var_10);
    var_12 = wp::extract(var_13, var_11);
    var_14 = wp::mod(var_1, var_12);
    // dimensions = query.shape[2]                                                            <L 46>
    var_15 = &(var_query.shape);
    var_18 = wp::load(var_15);
    var_17 = wp::extract(var_18, var_16);
    // best, nearest = real(wp.inf), wp.int64(-1)                                             <L 47>
    var_21 = wp::float32(var_20);
    var_22 = -1ll;
    // for k in range(candidates.shape[1]):                                                   <L 48>
    var_23 = &(var_candidates.shape);
    var_26 = wp::load(var_23);
    var_25 = wp::extract(var_26, var_24);
    var_27 = wp::range(var_25);
    start_for_0:;
        if (iter_cmp(var_27) == 0) goto end_for_0;
        var_28 = wp::iter_next(var_27);
        // other = candidates[patch, k]                                                       <L 49>
        var_29 = wp::address(var_candidates, var_14, var_28);
        var_31 = wp::load(var_29);
        var_30 = wp::copy(var_31);
        // if other >= wp.int64(0):                                                           <L 50>
        var_32 = 0ll;
        var_33 = (var_30 >= var_32);
        if (var_33) {
            // total = real(0.0)                                                              <L 51>
            var_35 = wp::float32(var_34);
            // for d in range(lane, dimensions, lanes):                                       <L 52>
            var_36 = wp::range(var_3, var_17, var_lanes);
            start_for_2:;
                if (iter_cmp(var_36) == 0) goto end_for_2;
                var_37 = wp::iter_next(var_36);
                // difference = query[view, patch, d] - reference[view, int(other), d]        <L 53>
                var_38 = wp::address(var_query, var_9, var_14, var_37);
                var_39 = wp::int(var_30);
                var_40 = wp::address(var_reference, var_9, var_39, var_37);
                var_42 = wp::load(var_38);
                var_43 = wp::load(var_40);
                var_41 = wp::sub(var_42, var_43);
                // total += difference * difference                                           <L 54>
                var_44 = wp::mul(var_41, var_41);
                var_45 = wp::add(var_35, var_44);
                wp::assign(var_35, var_45);
                goto start_for_2;
            end_for_2:;
            // total = sum_over_lanes(total)                                                  <L 55>
            var_46 = nearest_patch_kernels__locals__sum_over_lanes_0(var_35);
            // if nearest < wp.int64(0) or total < best or total != total:  # NaN stays, as in torch.min       <L 56>
            var_48 = 0ll;
            var_49 = (var_22 < var_48);
            var_47 = var_49;
            if (!var_47) {
                var_50 = (var_46 < var_21);
                var_47 = var_47 || var_50;
            }
            if (!var_47) {
                var_51 = (var_46 != var_46);
                var_47 = var_47 || var_51;
            }
            if (var_47) {
                // best, nearest = total, other                                               <L 57>
            }
            var_52 = wp::where(var_47, var_46, var_21);
            var_53 = wp::where(var_47, var_30, var_22);
        }
        var_54 = wp::where(var_33, var_52, var_21);
        var_55 = wp::where(var_33, var_53, var_22);
        wp::assign(var_21, var_54);
        wp::assign(var_22, var_55);
        goto start_for_0;
    end_for_0:;
    // if lane == 0:                                                                          <L 58>
    var_57 = (var_3 == var_56);
    if (var_57) {
        // distance[view, patch] = best / real(dimensions)                                    <L 59>
        var_58 = wp::float32(var_17);
        var_59 = wp::div(var_21, var_58);
        wp::array_store(var_distance, var_9, var_14, var_59);
        // index[view, patch] = nearest                                                       <L 60>
        wp::array_store(var_index, var_9, var_14, var_22);
    }
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void nearest_patch_kernels__locals__forward_1c54f2cf_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__forward_1c54f2cf *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        nearest_patch_kernels__locals__forward_1c54f2cf_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void nearest_patch_kernels__locals__forward_1c54f2cf_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__forward_1c54f2cf *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    nearest_patch_kernels__locals__forward_1c54f2cf_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void nearest_patch_kernels__locals__forward_1c54f2cf_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_nearest_patch_kernels__locals__forward_1c54f2cf *_wp_args)
{
    nearest_patch_kernels__locals__forward_1c54f2cf_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

