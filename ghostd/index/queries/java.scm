; Definitions
(class_declaration name: (identifier) @name.class) @definition
(record_declaration name: (identifier) @name.class) @definition
(record_declaration parameters: (formal_parameters (formal_parameter name: (identifier) @name.field) @definition))
(interface_declaration name: (identifier) @name.interface) @definition
(annotation_type_declaration name: (identifier) @name.interface) @definition
(annotation_type_element_declaration name: (identifier) @name.method) @definition
(enum_declaration name: (identifier) @name.enum) @definition
(enum_constant name: (identifier) @name.enum_member) @definition
(method_declaration name: (identifier) @name.method) @definition
(constructor_declaration name: (identifier) @name.method) @definition
(compact_constructor_declaration name: (identifier) @name.method) @definition
(field_declaration declarator: (variable_declarator name: (identifier) @name.field)) @definition
(constant_declaration declarator: (variable_declarator name: (identifier) @name.constant)) @definition

; References
(identifier) @reference
(type_identifier) @reference

; Imports
(import_declaration [(scoped_identifier) (identifier)] @import.dotted) @import
(import_declaration (asterisk) @import.all)
