# The module `cuda`: kernels/cuda as modules/cuda.so beside the program. The toolkit is looked for in CUDAToolkit_ROOT,
# CUDA_HOME, the PATH and CUDA's usual place; cuDNN 9 among its libraries or in CUDNN_ROOT.
set(TRAINCTL_HAVE_CUDA OFF)
if(TRAINCTL_CUDA AND NOT TRAINCTL_CUDA STREQUAL "OFF")
  find_program(TRAINCTL_NVCC nvcc
               HINTS ${CUDAToolkit_ROOT}/bin $ENV{CUDAToolkit_ROOT}/bin $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin
               PATHS /usr/local/cuda/bin /opt/cuda/bin)
  set(missing)
  if(TRAINCTL_NVCC)
    get_filename_component(cuda_bin ${TRAINCTL_NVCC} DIRECTORY)
    get_filename_component(cuda_root ${cuda_bin} DIRECTORY)
    find_path(CUDNN_INCLUDE cudnn.h HINTS $ENV{CUDNN_ROOT}/include ${cuda_root}/include)
    find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS $ENV{CUDNN_ROOT}/lib ${cuda_root}/lib64)
    find_library(CUBLASLT_LIBRARY NAMES cublasLt libcublasLt.so.13 HINTS ${cuda_root}/lib64)
    find_library(CUDART_LIBRARY NAMES cudart_static HINTS ${cuda_root}/lib64)
    foreach(part CUDNN_INCLUDE CUDNN_LIBRARY CUBLASLT_LIBRARY CUDART_LIBRARY)
      if(NOT ${part})
        list(APPEND missing ${part})
      endif()
    endforeach()
  else()
    set(missing nvcc)
  endif()
  if(NOT missing)
    set(CMAKE_CUDA_COMPILER ${TRAINCTL_NVCC})
    if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
    endif()
    # All from the source as sm_80 sees it, compiled once: nothing in it is for sm_90 alone.
    set(TRAINCTL_CUDA_CODE sm_80,sm_90,compute_80 CACHE STRING "What the CUDA module is compiled for")
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    set(CMAKE_CUDA_FLAGS_RELEASE "-O1 -DNDEBUG")  # of what launches kernels; the kernels themselves are compiled with -O3
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION} in ${cuda_root}, for ${TRAINCTL_CUDA_CODE}; ${CUDNN_LIBRARY}")
    set(TRAINCTL_HAVE_CUDA ON)
  elseif(TRAINCTL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TRAINCTL_CUDA is ON, but these were not found: ${missing}. Set CUDA_HOME and CUDNN_ROOT.")
  else()
    message(STATUS "CUDA: not built; not found: ${missing}")
  endif()
endif()

if(TRAINCTL_HAVE_CUDA)
  file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu
                                                   ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cpp)
  add_library(kernels_cuda OBJECT ${cuda_sources})
  target_include_directories(kernels_cuda PRIVATE ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR})
  target_include_directories(kernels_cuda SYSTEM PRIVATE ${cuda_root}/include ${CUDNN_INCLUDE})
  set_source_files_properties(kernels/cuda/device.cpp PROPERTIES COMPILE_DEFINITIONS "TRAINCTL_BUILD_ID=\"${TRAINCTL_BUILD_ID}\"")
  target_compile_definitions(kernels_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)  # fmt 9 does not expect it of nvcc
  target_compile_options(kernels_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--generate-code=arch=compute_80,code=[${TRAINCTL_CUDA_CODE}]
      --expt-relaxed-constexpr --extended-lambda -Wno-deprecated-gpu-targets
      -Xcompiler=-Wno-unused-parameter>)
  target_link_libraries(kernels_cuda PUBLIC fmt::fmt ${CUBLASLT_LIBRARY} ${CUDNN_LIBRARY})

  add_library(cuda_module MODULE)
  target_link_libraries(cuda_module PRIVATE kernels_cuda)
  set_target_properties(cuda_module PROPERTIES PREFIX "" OUTPUT_NAME cuda LINKER_LANGUAGE CUDA CUDA_RUNTIME_LIBRARY Static
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/modules
                        BUILD_RPATH ${cuda_root}/lib64 INSTALL_RPATH ${cuda_root}/lib64)
  install(TARGETS cuda_module DESTINATION lib/trainctl/modules)
endif()
