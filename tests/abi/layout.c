/* Prints the layout of every public type and the value of every public constant. What it printed when ABI major 1 was made is
 * v1.expected; a difference is a break, but for what is appended. A field that is missing here shows as "N bytes unnamed". */
#include <vqpipe/backend.h>
#include <vqpipe/components.h>
#include <vqpipe/host.h>
#include <vqpipe/ops.h>
#include <vqpipe/plugin.h>
#include <vqpipe/tensor.h>
#include <vqpipe/vqpipe.h>

static size_t next, size;

static void begin(const char *name, size_t bytes, size_t align)
{
    printf("struct %s: %zu bytes, aligned to %zu\n", name, bytes, align);
    next = 0;
    size = bytes;
}

static void unnamed(size_t up_to)
{
    if (up_to > next)
        printf("  %4zu %zu bytes unnamed\n", next, up_to - next);
}

static void field(const char *name, size_t offset, size_t bytes)
{
    unnamed(offset);
    printf("  %4zu %s, %zu bytes\n", offset, name, bytes);
    next = offset + bytes;
}

#define STRUCT(S)    begin(#S, sizeof(struct S), _Alignof(struct S))
#define FIELD(S, f)  field(#f, offsetof(struct S, f), sizeof(((struct S *)0)->f))
#define MEMBER(S, f) printf("       %4zu %s, %zu bytes\n", offsetof(struct S, f), #f, sizeof(((struct S *)0)->f))
#define END()        unnamed(size)
#define TYPE(t)      printf("%s: %zu bytes\n", #t, sizeof(t))
#define VALUE(v)     printf("%s = %lld\n", #v, (long long)(v))
#define TEXT(v)      printf("%s = %s\n", #v, v)

static void print_base(void)
{
    printf("-- base.h\n");
    TYPE(vqp_status);
    VALUE(VQP_ABI_MAJOR);
    VALUE(VQP_ABI_MINOR);
    VALUE(VQP_MAX_RANK);
    VALUE(VQP_OK);
    VALUE(VQP_E_ARG);
    VALUE(VQP_E_NOMEM);
    VALUE(VQP_E_IO);
    VALUE(VQP_E_FORMAT);
    VALUE(VQP_E_SHAPE);
    VALUE(VQP_E_UNSUPPORTED);
    VALUE(VQP_E_DEVICE);
    VALUE(VQP_E_CANCELLED);
    VALUE(VQP_E_PLUGIN);
    VALUE(VQP_E_OUTPUT);
    VALUE(VQP_E_NUMERIC);
    VALUE(VQP_E_INTERNAL);
    STRUCT(vqp_error);
    FIELD(vqp_error, code);
    FIELD(vqp_error, msg);
    END();
    VALUE(VQP_F32);
    VALUE(VQP_F16);
    VALUE(VQP_I32);
    VALUE(VQP_U8);
    VALUE(VQP_BF16);
    VALUE(VQP_Q8_0);
    STRUCT(vqp_shape);
    FIELD(vqp_shape, rank);
    FIELD(vqp_shape, reserved);
    FIELD(vqp_shape, dim);
    END();
    STRUCT(vqp_tensor_view);
    FIELD(vqp_tensor_view, dtype);
    FIELD(vqp_tensor_view, reserved);
    FIELD(vqp_tensor_view, shape);
    FIELD(vqp_tensor_view, data);
    FIELD(vqp_tensor_view, bytes);
    END();
}

static void print_program(void)
{
    printf("-- program.h\n");
    TYPE(vqp_val);
    VALUE(VQP_OP_MAX_IN);
    VALUE(VQP_OP_MAX_OUT);
    STRUCT(vqp_op);
    FIELD(vqp_op, kind);
    FIELD(vqp_op, flags);
    FIELD(vqp_op, in);
    FIELD(vqp_op, out);
    FIELD(vqp_op, u);
    MEMBER(vqp_op, u.linear.act);
    MEMBER(vqp_op, u.norm.eps);
    MEMBER(vqp_op, u.norm.groups);
    MEMBER(vqp_op, u.norm.act);
    MEMBER(vqp_op, u.sdpa.scale);
    MEMBER(vqp_op, u.sdpa.heads);
    MEMBER(vqp_op, u.sdpa.causal);
    MEMBER(vqp_op, u.conv.stride);
    MEMBER(vqp_op, u.conv.groups);
    MEMBER(vqp_op, u.conv.pad_top);
    MEMBER(vqp_op, u.conv.pad_left);
    MEMBER(vqp_op, u.conv.pad_bottom);
    MEMBER(vqp_op, u.conv.pad_right);
    MEMBER(vqp_op, u.conv.act);
    MEMBER(vqp_op, u.conv.upsample);
    MEMBER(vqp_op, u.pixel_shuffle.factor);
    MEMBER(vqp_op, u.rope.heads);
    MEMBER(vqp_op, u.rope.interleaved);
    MEMBER(vqp_op, u.truncate.floor);
    MEMBER(vqp_op, u.sample.stream);
    MEMBER(vqp_op, u.repeat.times);
    MEMBER(vqp_op, u.repeat.tile);
    MEMBER(vqp_op, u.compare.cmp);
    MEMBER(vqp_op, u.cast.dtype);
    MEMBER(vqp_op, u.axis.axis);
    MEMBER(vqp_op, u.axis.start);
    MEMBER(vqp_op, u.axis.count);
    MEMBER(vqp_op, u.permute.perm);
    MEMBER(vqp_op, u.raw);
    END();
    VALUE(VQP_VAL_TEMP);
    VALUE(VQP_VAL_INPUT);
    VALUE(VQP_VAL_WEIGHT);
    VALUE(VQP_VAL_STATE);
    VALUE(VQP_VAL_OUTPUT);
    VALUE(VQP_VAL_CONSTANT);
    STRUCT(vqp_val_info);
    FIELD(vqp_val_info, dtype);
    FIELD(vqp_val_info, role);
    FIELD(vqp_val_info, shape);
    FIELD(vqp_val_info, bytes);
    FIELD(vqp_val_info, arena_offset);
    FIELD(vqp_val_info, data);
    FIELD(vqp_val_info, name);
    FIELD(vqp_val_info, root);
    FIELD(vqp_val_info, reserved0);
    FIELD(vqp_val_info, reserved);
    END();
    STRUCT(vqp_program_view);
    FIELD(vqp_program_view, struct_size);
    FIELD(vqp_program_view, n_vals);
    FIELD(vqp_program_view, n_ops);
    FIELD(vqp_program_view, reserved);
    FIELD(vqp_program_view, name);
    FIELD(vqp_program_view, vals);
    FIELD(vqp_program_view, ops);
    FIELD(vqp_program_view, op_scope);
    FIELD(vqp_program_view, arena_bytes);
    END();
    STRUCT(vqp_host_call);
    FIELD(vqp_host_call, struct_size);
    FIELD(vqp_host_call, n_in);
    FIELD(vqp_host_call, n_out);
    FIELD(vqp_host_call, reserved);
    FIELD(vqp_host_call, name);
    FIELD(vqp_host_call, fn);
    FIELD(vqp_host_call, self);
    FIELD(vqp_host_call, in);
    FIELD(vqp_host_call, out_dtype);
    FIELD(vqp_host_call, out_shape);
    END();
    STRUCT(vqp_program_api);
    FIELD(vqp_program_api, struct_size);
    FIELD(vqp_program_api, reserved);
    FIELD(vqp_program_api, input);
    FIELD(vqp_program_api, link);
    FIELD(vqp_program_api, constant);
    FIELD(vqp_program_api, state);
    FIELD(vqp_program_api, weight);
    FIELD(vqp_program_api, has_weight);
    FIELD(vqp_program_api, view);
    FIELD(vqp_program_api, describe);
    FIELD(vqp_program_api, emit);
    FIELD(vqp_program_api, output);
    FIELD(vqp_program_api, scope);
    FIELD(vqp_program_api, fail);
    FIELD(vqp_program_api, host_call);
    END();
}

static void print_ops(void)
{
    printf("-- ops.h\n");
    VALUE(VQP_OP_EMBEDDING);
    VALUE(VQP_OP_LINEAR);
    VALUE(VQP_OP_LAYER_NORM);
    VALUE(VQP_OP_RMS_NORM);
    VALUE(VQP_OP_SDPA);
    VALUE(VQP_OP_CONV2D);
    VALUE(VQP_OP_GROUP_NORM);
    VALUE(VQP_OP_L2_NORM);
    VALUE(VQP_OP_CODEBOOK);
    VALUE(VQP_OP_NEAREST_CODE);
    VALUE(VQP_OP_PIXEL_SHUFFLE);
    VALUE(VQP_OP_ROPE);
    VALUE(VQP_OP_GUIDE_LOG_SOFTMAX);
    VALUE(VQP_OP_TRUNCATE);
    VALUE(VQP_OP_POSTERIOR_SAMPLE);
    VALUE(VQP_OP_CATEGORICAL_SAMPLE);
    VALUE(VQP_OP_SELECT_TOP_K);
    VALUE(VQP_OP_TO_RGB);
    VALUE(VQP_OP_REPEAT);
    VALUE(VQP_OP_TAKE);
    VALUE(VQP_OP_STORE);
    VALUE(VQP_OP_ADVANCE);
    VALUE(VQP_OP_GUMBEL);
    VALUE(VQP_OP_FUSED_END);
    VALUE(VQP_OP_ADD);
    VALUE(VQP_OP_SUB);
    VALUE(VQP_OP_MUL);
    VALUE(VQP_OP_DIV);
    VALUE(VQP_OP_MAX);
    VALUE(VQP_OP_MIN);
    VALUE(VQP_OP_EXP);
    VALUE(VQP_OP_LOG);
    VALUE(VQP_OP_SQRT);
    VALUE(VQP_OP_RSQRT);
    VALUE(VQP_OP_SIGMOID);
    VALUE(VQP_OP_COMPARE);
    VALUE(VQP_OP_WHERE);
    VALUE(VQP_OP_CAST);
    VALUE(VQP_OP_CONCAT);
    VALUE(VQP_OP_SLICE);
    VALUE(VQP_OP_PERMUTE);
    VALUE(VQP_OP_REDUCE_SUM);
    VALUE(VQP_OP_REDUCE_MAX);
    VALUE(VQP_OP_ARG_MAX);
    VALUE(VQP_OP_SOFTMAX);
    VALUE(VQP_OP_CUMSUM);
    VALUE(VQP_OP_SORT_K);
    VALUE(VQP_OP_GATHER);
    VALUE(VQP_OP_SCATTER);
    VALUE(VQP_OP_PLAIN_END);
    VALUE(VQP_ACT_NONE);
    VALUE(VQP_ACT_GELU_ERF);
    VALUE(VQP_ACT_GELU_SIGMOID);
    VALUE(VQP_ACT_SILU);
    VALUE(VQP_CMP_EQ);
    VALUE(VQP_CMP_NE);
    VALUE(VQP_CMP_LT);
    VALUE(VQP_CMP_LE);
    VALUE(VQP_CMP_GT);
    VALUE(VQP_CMP_GE);
    VALUE(VQP_PAR_LOG_A);
    VALUE(VQP_PAR_LOG_B);
    VALUE(VQP_PAR_LOG_C);
    VALUE(VQP_PAR_CUM_T_A);
    VALUE(VQP_PAR_CUM_T_B);
    VALUE(VQP_PAR_CUM_T_C);
    VALUE(VQP_PAR_CUM_S_A);
    VALUE(VQP_PAR_CUM_S_B);
    VALUE(VQP_PAR_CUM_S_C);
    VALUE(VQP_PAR_FINAL);
    STRUCT(vqp_conv2d_params);
    FIELD(vqp_conv2d_params, stride);
    FIELD(vqp_conv2d_params, groups);
    FIELD(vqp_conv2d_params, pad_top);
    FIELD(vqp_conv2d_params, pad_left);
    FIELD(vqp_conv2d_params, pad_bottom);
    FIELD(vqp_conv2d_params, pad_right);
    FIELD(vqp_conv2d_params, act);
    FIELD(vqp_conv2d_params, upsample);
    END();
}

static void print_host(void)
{
    printf("-- host.h\n");
    VALUE(VQP_LOG_ERROR);
    VALUE(VQP_LOG_WARN);
    VALUE(VQP_LOG_INFO);
    VALUE(VQP_LOG_DEBUG);
    VALUE(VQP_LOG_MISUSE);
    STRUCT(vqp_host);
    FIELD(vqp_host, struct_size);
    FIELD(vqp_host, abi_minor);
    FIELD(vqp_host, version);
    FIELD(vqp_host, log);
    FIELD(vqp_host, cancelled);
    FIELD(vqp_host, parallel_for);
    FIELD(vqp_host, program);
    FIELD(vqp_host, uniform);
    FIELD(vqp_host, extension);
    END();
    TEXT(VQP_EXT_WEIGHTS);
    STRUCT(vqp_ext_weights);
    FIELD(vqp_ext_weights, struct_size);
    FIELD(vqp_ext_weights, reserved);
    FIELD(vqp_ext_weights, copied);
    END();
}

static void print_plugin(void)
{
    printf("-- plugin.h\n");
    TEXT(VQP_PLUGIN_SYMBOL);
    VALUE(VQP_IFACE_TOKENIZER);
    VALUE(VQP_IFACE_TEXT_ENCODER);
    VALUE(VQP_IFACE_DENOISER);
    VALUE(VQP_IFACE_SCHEDULER);
    VALUE(VQP_IFACE_VQ_DECODER);
    VALUE(VQP_IFACE_BACKEND);
    VALUE(VQP_OPT_INT);
    VALUE(VQP_OPT_FLOAT);
    VALUE(VQP_OPT_BOOL);
    VALUE(VQP_OPT_STRING);
    VALUE(VQP_OPT_PATH);
    VALUE(VQP_OPT_CHOICE);
    VALUE(VQP_OPT_INTS);
    VALUE(VQP_OPT_STRINGS);
    VALUE(VQP_OPT_REQUIRED);
    VALUE(VQP_OPT_CONFIG);
    STRUCT(vqp_list);
    FIELD(vqp_list, n);
    FIELD(vqp_list, reserved);
    FIELD(vqp_list, items);
    END();
    STRUCT(vqp_option);
    FIELD(vqp_option, name);
    FIELD(vqp_option, offset);
    FIELD(vqp_option, type);
    FIELD(vqp_option, flags);
    FIELD(vqp_option, reserved);
    FIELD(vqp_option, min);
    FIELD(vqp_option, max);
    FIELD(vqp_option, def);
    FIELD(vqp_option, choices);
    FIELD(vqp_option, help);
    FIELD(vqp_option, config);
    FIELD(vqp_option, spare);
    END();
    STRUCT(vqp_create_args);
    FIELD(vqp_create_args, struct_size);
    FIELD(vqp_create_args, reserved);
    FIELD(vqp_create_args, host);
    FIELD(vqp_create_args, instance);
    FIELD(vqp_create_args, plugin_path);
    FIELD(vqp_create_args, path);
    FIELD(vqp_create_args, precision);
    FIELD(vqp_create_args, device);
    FIELD(vqp_create_args, opts);
    END();
    STRUCT(vqp_component);
    FIELD(vqp_component, struct_size);
    FIELD(vqp_component, iface);
    FIELD(vqp_component, name);
    FIELD(vqp_component, summary);
    FIELD(vqp_component, opts_size);
    FIELD(vqp_component, reserved);
    FIELD(vqp_component, opts);
    FIELD(vqp_component, create);
    FIELD(vqp_component, destroy);
    FIELD(vqp_component, v);
    MEMBER(vqp_component, v.tokenizer);
    MEMBER(vqp_component, v.text_encoder);
    MEMBER(vqp_component, v.denoiser);
    MEMBER(vqp_component, v.scheduler);
    MEMBER(vqp_component, v.vq_decoder);
    MEMBER(vqp_component, v.backend);
    END();
    STRUCT(vqp_plugin);
    FIELD(vqp_plugin, struct_size);
    FIELD(vqp_plugin, abi_minor);
    FIELD(vqp_plugin, id);
    FIELD(vqp_plugin, version);
    FIELD(vqp_plugin, license);
    FIELD(vqp_plugin, components);
    END();
}

static void print_components(void)
{
    printf("-- components.h\n");
    TYPE(vqp_u32_source);
    VALUE(VQP_MAX_CONDS);
    STRUCT(vqp_text);
    FIELD(vqp_text, struct_size);
    FIELD(vqp_text, used);
    FIELD(vqp_text, truncated);
    FIELD(vqp_text, end);
    FIELD(vqp_text, ids);
    FIELD(vqp_text, word);
    FIELD(vqp_text, word_ctx);
    END();
    STRUCT(vqp_tokenizer_vtbl);
    FIELD(vqp_tokenizer_vtbl, struct_size);
    FIELD(vqp_tokenizer_vtbl, reserved);
    FIELD(vqp_tokenizer_vtbl, info);
    FIELD(vqp_tokenizer_vtbl, encode);
    END();
    STRUCT(vqp_cond);
    FIELD(vqp_cond, name);
    FIELD(vqp_cond, dtype);
    FIELD(vqp_cond, reserved);
    FIELD(vqp_cond, shape);
    END();
    STRUCT(vqp_text_encoder_info);
    FIELD(vqp_text_encoder_info, struct_size);
    FIELD(vqp_text_encoder_info, context_length);
    FIELD(vqp_text_encoder_info, vocab_size);
    FIELD(vqp_text_encoder_info, has_null);
    FIELD(vqp_text_encoder_info, n_conds);
    FIELD(vqp_text_encoder_info, reserved);
    FIELD(vqp_text_encoder_info, conds);
    END();
    STRUCT(vqp_text_inputs);
    FIELD(vqp_text_inputs, struct_size);
    FIELD(vqp_text_inputs, rows);
    FIELD(vqp_text_inputs, ids);
    FIELD(vqp_text_inputs, end);
    END();
    STRUCT(vqp_text_encoder_vtbl);
    FIELD(vqp_text_encoder_vtbl, struct_size);
    FIELD(vqp_text_encoder_vtbl, reserved);
    FIELD(vqp_text_encoder_vtbl, info);
    FIELD(vqp_text_encoder_vtbl, record);
    FIELD(vqp_text_encoder_vtbl, record_null);
    END();
    STRUCT(vqp_denoiser_info);
    FIELD(vqp_denoiser_info, struct_size);
    FIELD(vqp_denoiser_info, grid_h);
    FIELD(vqp_denoiser_info, grid_w);
    FIELD(vqp_denoiser_info, n_codes);
    FIELD(vqp_denoiser_info, n_vocab);
    FIELD(vqp_denoiser_info, mask_id);
    FIELD(vqp_denoiser_info, train_steps);
    FIELD(vqp_denoiser_info, n_conds);
    FIELD(vqp_denoiser_info, conds);
    END();
    STRUCT(vqp_step);
    FIELD(vqp_step, struct_size);
    FIELD(vqp_step, batch);
    FIELD(vqp_step, guided);
    FIELD(vqp_step, reserved);
    FIELD(vqp_step, tokens);
    FIELD(vqp_step, t);
    FIELD(vqp_step, tf);
    FIELD(vqp_step, par);
    FIELD(vqp_step, eval);
    FIELD(vqp_step, logp);
    FIELD(vqp_step, seed);
    FIELD(vqp_step, noise);
    FIELD(vqp_step, mask_id);
    FIELD(vqp_step, grid_h);
    FIELD(vqp_step, grid_w);
    END();
    STRUCT(vqp_denoiser_vtbl);
    FIELD(vqp_denoiser_vtbl, struct_size);
    FIELD(vqp_denoiser_vtbl, reserved);
    FIELD(vqp_denoiser_vtbl, info);
    FIELD(vqp_denoiser_vtbl, record_prepare);
    FIELD(vqp_denoiser_vtbl, record_step);
    END();
    STRUCT(vqp_plan_args);
    FIELD(vqp_plan_args, struct_size);
    FIELD(vqp_plan_args, steps);
    FIELD(vqp_plan_args, train_steps);
    FIELD(vqp_plan_args, n_tokens);
    FIELD(vqp_plan_args, n_codes);
    FIELD(vqp_plan_args, first_step);
    FIELD(vqp_plan_args, guidance);
    FIELD(vqp_plan_args, reserved);
    END();
    STRUCT(vqp_eval);
    FIELD(vqp_eval, t);
    FIELD(vqp_eval, flags);
    FIELD(vqp_eval, tf);
    FIELD(vqp_eval, guide);
    FIELD(vqp_eval, par);
    END();
    VALUE(VQP_SCHED_TRUNCATES);
    STRUCT(vqp_scheduler_vtbl);
    FIELD(vqp_scheduler_vtbl, struct_size);
    FIELD(vqp_scheduler_vtbl, flags);
    FIELD(vqp_scheduler_vtbl, plan);
    FIELD(vqp_scheduler_vtbl, record_step);
    FIELD(vqp_scheduler_vtbl, record_start);
    FIELD(vqp_scheduler_vtbl, fill_noise);
    END();
    STRUCT(vqp_vq_decoder_info);
    FIELD(vqp_vq_decoder_info, struct_size);
    FIELD(vqp_vq_decoder_info, grid_h);
    FIELD(vqp_vq_decoder_info, grid_w);
    FIELD(vqp_vq_decoder_info, n_codes);
    FIELD(vqp_vq_decoder_info, scale);
    FIELD(vqp_vq_decoder_info, reserved);
    END();
    STRUCT(vqp_vq_decoder_vtbl);
    FIELD(vqp_vq_decoder_vtbl, struct_size);
    FIELD(vqp_vq_decoder_vtbl, reserved);
    FIELD(vqp_vq_decoder_vtbl, info);
    FIELD(vqp_vq_decoder_vtbl, record);
    FIELD(vqp_vq_decoder_vtbl, record_encode);
    END();
}

static void print_backend(void)
{
    printf("-- backend.h\n");
    STRUCT(vqp_device_info);
    FIELD(vqp_device_info, struct_size);
    FIELD(vqp_device_info, index);
    FIELD(vqp_device_info, is_host);
    FIELD(vqp_device_info, usable);
    FIELD(vqp_device_info, name);
    FIELD(vqp_device_info, driver);
    FIELD(vqp_device_info, uuid);
    FIELD(vqp_device_info, reason);
    FIELD(vqp_device_info, memory_bytes);
    FIELD(vqp_device_info, max_buffer_bytes);
    FIELD(vqp_device_info, alignment);
    FIELD(vqp_device_info, reserved);
    END();
    STRUCT(vqp_binding);
    FIELD(vqp_binding, val);
    FIELD(vqp_binding, reserved);
    FIELD(vqp_binding, buffer);
    END();
    STRUCT(vqp_backend_vtbl);
    FIELD(vqp_backend_vtbl, struct_size);
    FIELD(vqp_backend_vtbl, reserved);
    FIELD(vqp_backend_vtbl, info);
    FIELD(vqp_backend_vtbl, supports);
    FIELD(vqp_backend_vtbl, buffer_create);
    FIELD(vqp_backend_vtbl, buffer_destroy);
    FIELD(vqp_backend_vtbl, upload);
    FIELD(vqp_backend_vtbl, download);
    FIELD(vqp_backend_vtbl, compile);
    FIELD(vqp_backend_vtbl, run);
    FIELD(vqp_backend_vtbl, exec_destroy);
    FIELD(vqp_backend_vtbl, profile);
    FIELD(vqp_backend_vtbl, devices);
    FIELD(vqp_backend_vtbl, forget);
    FIELD(vqp_backend_vtbl, ceiling);
    END();
}

static void print_tensor(void)
{
    printf("-- tensor.h\n");
    STRUCT(vqp_label);
    FIELD(vqp_label, s);
    END();
}

static void print_vqpipe(void)
{
    printf("-- vqpipe.h\n");
    STRUCT(vqpipe_context_params);
    FIELD(vqpipe_context_params, struct_size);
    FIELD(vqpipe_context_params, threads);
    FIELD(vqpipe_context_params, plugin_dirs);
    FIELD(vqpipe_context_params, n_plugin_dirs);
    FIELD(vqpipe_context_params, log_level);
    FIELD(vqpipe_context_params, log);
    FIELD(vqpipe_context_params, log_ctx);
    END();
    STRUCT(vqpipe_step_event);
    FIELD(vqpipe_step_event, struct_size);
    FIELD(vqpipe_step_event, eval);
    FIELD(vqpipe_step_event, n_evals);
    FIELD(vqpipe_step_event, timestep);
    FIELD(vqpipe_step_event, first_image);
    FIELD(vqpipe_step_event, n_images);
    FIELD(vqpipe_step_event, n_tokens);
    FIELD(vqpipe_step_event, images_total);
    FIELD(vqpipe_step_event, ids);
    FIELD(vqpipe_step_event, elapsed);
    FIELD(vqpipe_step_event, eval_seconds);
    END();
    STRUCT(vqpipe_run_params);
    FIELD(vqpipe_run_params, struct_size);
    FIELD(vqpipe_run_params, callback_steps);
    FIELD(vqpipe_run_params, step);
    FIELD(vqpipe_run_params, step_ctx);
    FIELD(vqpipe_run_params, dump_dir);
    FIELD(vqpipe_run_params, feed_dir);
    END();
    STRUCT(vqpipe_prediction);
    FIELD(vqpipe_prediction, struct_size);
    FIELD(vqpipe_prediction, evals);
    FIELD(vqpipe_prediction, seconds);
    FIELD(vqpipe_prediction, prepare);
    FIELD(vqpipe_prediction, step);
    FIELD(vqpipe_prediction, finish);
    FIELD(vqpipe_prediction, batches);
    FIELD(vqpipe_prediction, memory_bytes);
    END();
    STRUCT(vqpipe_comparison);
    FIELD(vqpipe_comparison, struct_size);
    FIELD(vqpipe_comparison, differs);
    FIELD(vqpipe_comparison, evals);
    FIELD(vqpipe_comparison, evals_total);
    FIELD(vqpipe_comparison, ops);
    FIELD(vqpipe_comparison, near_ties);
    FIELD(vqpipe_comparison, worst);
    FIELD(vqpipe_comparison, first_backend);
    FIELD(vqpipe_comparison, second_backend);
    FIELD(vqpipe_comparison, eval);
    FIELD(vqpipe_comparison, output);
    FIELD(vqpipe_comparison, phase);
    FIELD(vqpipe_comparison, op);
    FIELD(vqpipe_comparison, scope);
    FIELD(vqpipe_comparison, operands);
    FIELD(vqpipe_comparison, index);
    FIELD(vqpipe_comparison, first);
    FIELD(vqpipe_comparison, second);
    FIELD(vqpipe_comparison, allowed);
    FIELD(vqpipe_comparison, n_different);
    FIELD(vqpipe_comparison, n_elements);
    FIELD(vqpipe_comparison, n_kinds);
    FIELD(vqpipe_comparison, reserved);
    FIELD(vqpipe_comparison, kinds);
    END();
    STRUCT(vqpipe_kind_error);
    FIELD(vqpipe_kind_error, kind);
    FIELD(vqpipe_kind_error, ops);
    FIELD(vqpipe_kind_error, worst);
    END();
    VALUE(VQPIPE_MAX_KINDS);
    STRUCT(vqpipe_timings);
    FIELD(vqpipe_timings, struct_size);
    FIELD(vqpipe_timings, evals);
    FIELD(vqpipe_timings, load);
    FIELD(vqpipe_timings, prepare);
    FIELD(vqpipe_timings, steps);
    FIELD(vqpipe_timings, finish);
    FIELD(vqpipe_timings, total);
    FIELD(vqpipe_timings, compile);
    END();
    STRUCT(vqpipe_bench_info);
    FIELD(vqpipe_bench_info, struct_size);
    FIELD(vqpipe_bench_info, batch);
    FIELD(vqpipe_bench_info, evals);
    FIELD(vqpipe_bench_info, samples);
    FIELD(vqpipe_bench_info, load);
    FIELD(vqpipe_bench_info, compile);
    FIELD(vqpipe_bench_info, prepare);
    FIELD(vqpipe_bench_info, first_step);
    FIELD(vqpipe_bench_info, finish);
    FIELD(vqpipe_bench_info, step);
    FIELD(vqpipe_bench_info, step_low);
    FIELD(vqpipe_bench_info, step_high);
    FIELD(vqpipe_bench_info, total);
    FIELD(vqpipe_bench_info, measuring);
    FIELD(vqpipe_bench_info, ceiling);
    FIELD(vqpipe_bench_info, ceiling_low);
    FIELD(vqpipe_bench_info, ceiling_high);
    FIELD(vqpipe_bench_info, peak_memory);
    FIELD(vqpipe_bench_info, backends);
    FIELD(vqpipe_bench_info, no_ceiling);
    FIELD(vqpipe_bench_info, no_profile);
    END();
    STRUCT(vqpipe_bench_op);
    FIELD(vqpipe_bench_op, struct_size);
    FIELD(vqpipe_bench_op, phase);
    FIELD(vqpipe_bench_op, kind);
    FIELD(vqpipe_bench_op, scope);
    FIELD(vqpipe_bench_op, shapes);
    FIELD(vqpipe_bench_op, seconds);
    FIELD(vqpipe_bench_op, flops);
    FIELD(vqpipe_bench_op, bytes);
    FIELD(vqpipe_bench_op, ceiling);
    END();
    STRUCT(vqpipe_plugin_info);
    FIELD(vqpipe_plugin_info, struct_size);
    FIELD(vqpipe_plugin_info, status);
    FIELD(vqpipe_plugin_info, path);
    FIELD(vqpipe_plugin_info, reason);
    FIELD(vqpipe_plugin_info, plugin);
    FIELD(vqpipe_plugin_info, shadowed);
    FIELD(vqpipe_plugin_info, reserved);
    END();
    STRUCT(vqpipe_device);
    FIELD(vqpipe_device, struct_size);
    FIELD(vqpipe_device, index);
    FIELD(vqpipe_device, usable);
    FIELD(vqpipe_device, is_host);
    FIELD(vqpipe_device, backend);
    FIELD(vqpipe_device, name);
    FIELD(vqpipe_device, driver);
    FIELD(vqpipe_device, uuid);
    FIELD(vqpipe_device, reason);
    FIELD(vqpipe_device, memory_bytes);
    FIELD(vqpipe_device, max_buffer_bytes);
    FIELD(vqpipe_device, spare);
    END();
}

int main(void)
{
    print_base();
    print_program();
    print_ops();
    print_host();
    print_plugin();
    print_components();
    print_backend();
    print_tensor();
    print_vqpipe();
    return 0;
}
