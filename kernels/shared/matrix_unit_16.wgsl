// Matrices of matrix units that multiply 16 x 16 by 16 x 16: two factors, and what their product is added to.

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
