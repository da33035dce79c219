/* gemm.c: matrix products by cuBLASLt.
 *
 * cuBLASLt is column-major, so the row-major c (m,n) = op(a) op(b) is asked for as c^T = op(b)^T op(a)^T, which only swaps
 * the operands. f32 all the way (no TF32). Its workspace is a view of the plan, so the library obtains no device memory
 * behind it, and the call can be captured. One call computes every output in one order of additions, which is what the
 * fast mode asks for; which order is the library's choice, by version and device.
 */
#include "cuda_internal.h"

/* Workspace offered, in bytes. The library splits the sum over k where there are few outputs and keeps partial results
 * there: so many copies of c, and never more than MAX_WORKSPACE, NVIDIA's advice for Hopper. */
#define WORKSPACE_COPIES 16u
#define MAX_WORKSPACE (32u << 20)

uint64_t actc_cuda_gemm_workspace(const actc_cuda_device *device, const actc_gemm *gemm)
{
    if (!device->blas)
        return 0;
    uint64_t wanted = (uint64_t)WORKSPACE_COPIES * gemm->batch * gemm->m * gemm->n * sizeof(float);
    return wanted < MAX_WORKSPACE ? actc_align(wanted, ACTC_VIEW_ALIGNMENT) : MAX_WORKSPACE;
}

/* Column-major: rows x columns, `ld` elements from column to column; a batch of them. */
static actc_status layout(actc_cuda_device *device, const actc_gemm *gemm, uint64_t rows, uint64_t columns, uint32_t ld,
                          uint32_t stride, const char *label, cublasLtMatrixLayout_t *out)
{
    actc_status status = ACTC_OK;
    const int32_t batch = (int32_t)gemm->batch;
    const int64_t offset = stride;
    CUBLAS(cublasLtMatrixLayoutCreate(out, CUDA_R_32F, rows, columns, ld), label);
    if (batch > 1) {
        CUBLAS(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), label);
        CUBLAS(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &offset, sizeof offset),
               label);
    }
error:
    return status;
}

actc_status actc_cuda_gemm(actc_cuda_device *device, const actc_gemm *gemm, const CUdeviceptr *views,
                           uint64_t workspace_bytes, const char *label)
{
    actc_status status = ACTC_OK;
    cublasLtMatmulDesc_t desc = NULL;
    cublasLtMatrixLayout_t first = NULL, second = NULL, result = NULL;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t heuristic;
    int found = 0;
    const float alpha = gemm->alpha, beta = gemm->add ? 1.0f : 0.0f;
    const int32_t op_first = gemm->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t op_second = gemm->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const void *a = (const void *)(uintptr_t)views[0], *b = (const void *)(uintptr_t)views[1];
    const void *bias = (const void *)(uintptr_t)views[2];
    void *c = (void *)(uintptr_t)views[3], *workspace = (void *)(uintptr_t)views[ACTC_WORKSPACE_VIEW];

    CUBLAS(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), label);
    CUBLAS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_first, sizeof op_first), label);
    CUBLAS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_second, sizeof op_second), label);
    if (gemm->bias) {
        /* a vector along the rows of c^T, the columns of c */
        const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        CUBLAS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue), label);
        CUBLAS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias), label);
    }
    if ((status = layout(device, gemm, gemm->trans_b ? gemm->k : gemm->n, gemm->trans_b ? gemm->n : gemm->k, gemm->ldb,
                         gemm->stride_b, label, &first)) != ACTC_OK ||
        (status = layout(device, gemm, gemm->trans_a ? gemm->m : gemm->k, gemm->trans_a ? gemm->k : gemm->m, gemm->lda,
                         gemm->stride_a, label, &second)) != ACTC_OK ||
        (status = layout(device, gemm, gemm->n, gemm->m, gemm->ldc, gemm->stride_c, label, &result)) != ACTC_OK)
        goto error;
    CUBLAS(cublasLtMatmulPreferenceCreate(&preference), label);
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                                sizeof workspace_bytes), label);
    CUBLAS(cublasLtMatmulAlgoGetHeuristic(device->blas, desc, first, second, result, result, preference, 1, &heuristic,
                                          &found), label);
    if (found == 0) {
        status = actc_fail(device->base.context, ACTC_ERROR_DEVICE, "%s: %s: cuBLASLt has no algorithm for %ux%ux%u",
                           device->base.info.spec, label, gemm->m, gemm->n, gemm->k);
        goto error;
    }
    CUBLAS(cublasLtMatmul(device->blas, desc, &alpha, b, first, a, second, &beta, c, result, c, result, &heuristic.algo,
                          workspace, workspace_bytes, device->stream), label);
error:
    if (preference)
        device->api.cublasLtMatmulPreferenceDestroy(preference);
    if (result)
        device->api.cublasLtMatrixLayoutDestroy(result);
    if (second)
        device->api.cublasLtMatrixLayoutDestroy(second);
    if (first)
        device->api.cublasLtMatrixLayoutDestroy(first);
    if (desc)
        device->api.cublasLtMatmulDescDestroy(desc);
    return status;
}
